import static org.hl7.fhir.r4.model.Bundle.BundleType.TRANSACTION;
import static org.hl7.fhir.r4.model.Bundle.HTTPVerb.POST;
import static org.hl7.fhir.r4.model.Medication.MedicationStatus.ACTIVE;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.server.exceptions.ResourceGoneException;
import ca.uhn.fhir.rest.server.exceptions.ResourceNotFoundException;
import java.math.BigDecimal;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.CodeableConcept;
import org.hl7.fhir.r4.model.Medication;
import org.hl7.fhir.r5.model.MedicationKnowledge;
import org.hl7.fhir.r5.model.Parameters;

/** HAPI's client asks a server for XML, whatever it does. Prints a line for each promise; ends with 1 at the first that is broken. */
public class Tour {
  static void check(boolean kept, String promise) {
    System.out.println((kept ? "ok " : "BROKEN ") + promise);
    if (!kept) System.exit(1);
  }

  static IGenericClient client(FhirContext context, String base) {
    IGenericClient client = context.newRestfulGenericClient(base);
    client.setEncoding(EncodingEnum.XML);
    return client;
  }

  public static void main(String[] arguments) {
    r4(client(FhirContext.forR4(), arguments[0] + "/r4"));
    r5(client(FhirContext.forR5(), arguments[0] + "/r5"));
  }

  static void r4(IGenericClient client) {
    CapabilityStatement statement = client.capabilities().ofType(CapabilityStatement.class).execute();
    check(statement.getFormat().stream().anyMatch(one -> one.getValue().equals("application/fhir+xml")), "XML is claimed");

    Medication medication = new Medication();
    medication.getCode().setText("\u00e4 & <b>");
    medication.addIngredient().setItem(new CodeableConcept().setText("x"));
    medication.getIngredientFirstRep().getStrength().getNumerator().setValue(new BigDecimal("0.50"));
    medication.getIngredientFirstRep().getStrength().getDenominator().setValue(1);
    MethodOutcome outcome = client.create().resource(medication).execute();
    String id = outcome.getId().getIdPart();
    medication = client.read().resource(Medication.class).withId(id).execute();
    BigDecimal strength = medication.getIngredientFirstRep().getStrength().getNumerator().getValue();
    check(medication.getCode().getText().equals("\u00e4 & <b>") && strength.toString().equals("0.50"), "read as created");
    client.update().resource(medication.setStatus(ACTIVE)).execute();
    check(!client.read().resource(Medication.class).withIdAndVersion(id, "1").execute().hasStatus(), "vread");
    Bundle history = client.history().onInstance("Medication/" + id).returnBundle(Bundle.class).execute();
    check(history.getEntry().size() == 2, "history");

    Bundle found = client.search().forResource(Medication.class).where(Medication.RES_ID.exactly().code(id)).returnBundle(Bundle.class).execute();
    check(found.getEntry().size() == 1, "search");
    int all = client.search().forResource(Medication.class).returnBundle(Bundle.class).execute().getTotal();
    Bundle page = client.search().forResource(Medication.class).count(2).returnBundle(Bundle.class).execute();
    int seen = page.getEntry().size();
    while (page.getLink("next") != null) {
      page = client.loadPage().next(page).execute();
      seen += page.getEntry().size();
    }
    check(seen == all && all > 2, "pages");

    Bundle transaction = new Bundle().setType(TRANSACTION);
    transaction.addEntry().setResource(new Medication().setCode(new CodeableConcept().setText("t"))).getRequest().setMethod(POST).setUrl("Medication");
    Bundle done = client.transaction().withBundle(transaction).execute();
    check(done.getEntryFirstRep().getResponse().getStatus().startsWith("201"), "transaction");
    check(client.validate().resource(medication).execute().getOperationOutcome() != null, "$validate");

    try {
      client.read().resource(Medication.class).withId("never").execute();
      check(false, "404");
    } catch (ResourceNotFoundException error) {
      check(error.getOperationOutcome() != null, "404 with its outcome");
    }
    client.delete().resourceById("Medication", id).execute();
    try {
      client.read().resource(Medication.class).withId(id).execute();
      check(false, "410");
    } catch (ResourceGoneException error) {
      check(error.getOperationOutcome() != null, "410 with its outcome");
    }
  }

  static void r5(IGenericClient client) {
    MedicationKnowledge monograph = client.read().resource(MedicationKnowledge.class).withId("clonazepam").execute();
    check(monograph.hasName() && monograph.getText().getDivAsString().contains("clonazepam"), "the monograph and its narrative");
    org.hl7.fhir.r5.model.Bundle document = client.operation().onInstance("Composition/clonazepam-monograph").named("document")
        .withNoParameters(Parameters.class).useHttpGet().returnResourceType(org.hl7.fhir.r5.model.Bundle.class).execute();
    check(document.getType() == org.hl7.fhir.r5.model.Bundle.BundleType.DOCUMENT, "$document");
  }
}
