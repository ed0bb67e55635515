import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.FhirVersionEnum;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CachingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * HL7's validator on files, offline: Reference R4|R4B|R5 [--package FILE.tgz]... [--resource FILE]... [--profile URL]... [FILE]...
 *
 * Without files it reads their names from standard input, a line each. For each file it prints one line of JSON: `file`,
 * `milliseconds`, and `findings` with `severity`, `location`, `line`, `column`, `id` and `message`; or `failed` with the exception.
 */
public class Reference {
  private static final List<String> KNOWN =
      List.of("StructureDefinition", "ValueSet", "CodeSystem", "Questionnaire", "ConceptMap", "NamingSystem", "Measure", "Library");

  public static void main(String[] arguments) throws Exception {
    FhirContext context = new FhirContext(FhirVersionEnum.valueOf(arguments[0]));
    PrePopulatedValidationSupport held = new PrePopulatedValidationSupport(context);
    ValidationOptions options = new ValidationOptions();
    List<String> files = new ArrayList<>();
    for (int at = 1; at < arguments.length; at++) {
      switch (arguments[at]) {
        case "--package" -> addPackage(context, held, Path.of(arguments[++at]));
        case "--resource" -> add(context, held, Files.readString(Path.of(arguments[++at])));
        case "--profile" -> options.addProfile(arguments[++at]);
        default -> files.add(arguments[at]);
      }
    }
    FhirInstanceValidator instance = new FhirInstanceValidator(new CachingValidationSupport(new ValidationSupportChain(
        new DefaultProfileValidationSupport(context),
        held,
        new SnapshotGeneratingValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context))));
    FhirValidator validator = context.newValidator();
    validator.registerValidatorModule(instance);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    if (files.isEmpty()) {
      BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (String name = input.readLine(); name != null; name = input.readLine()) {
        out.println(check(validator, options, name));
      }
    }
    for (String name : files) {
      out.println(check(validator, options, name));
    }
  }

  private static JsonObject check(FhirValidator validator, ValidationOptions options, String name) {
    JsonObject found = new JsonObject();
    found.addProperty("file", name);
    long start = System.nanoTime();
    try {
      String text = Files.readString(Path.of(name));
      start = System.nanoTime();
      JsonArray findings = new JsonArray();
      for (SingleValidationMessage message : validator.validateWithResult(text, options).getMessages()) {
        JsonObject one = new JsonObject();
        one.addProperty("severity", message.getSeverity().getCode());
        one.addProperty("location", message.getLocationString());
        one.addProperty("line", message.getLocationLine());
        one.addProperty("column", message.getLocationCol());
        one.addProperty("id", message.getMessageId());
        one.addProperty("message", message.getMessage());
        findings.add(one);
      }
      found.add("findings", findings);
    } catch (Throwable error) {
      found.addProperty("failed", error.toString());
    }
    found.addProperty("milliseconds", (System.nanoTime() - start) / 1e6);
    return found;
  }

  private static void addPackage(FhirContext context, PrePopulatedValidationSupport held, Path path) throws Exception {
    try (InputStream input = Files.newInputStream(path)) {
      NpmPackage read = NpmPackage.fromPackage(input);
      for (String name : read.listResources(KNOWN)) {
        try (InputStream resource = read.load("package", name)) {
          add(context, held, new String(resource.readAllBytes(), StandardCharsets.UTF_8));
        } catch (RuntimeException error) {
          System.err.println(path.getFileName() + ", " + name + ": " + error.getMessage());
        }
      }
    }
  }

  private static void add(FhirContext context, PrePopulatedValidationSupport held, String text) {
    held.addResource((text.stripLeading().startsWith("<") ? context.newXmlParser() : context.newJsonParser()).parseResource(text));
  }
}
