// What fhir-kit-client sees on one base: every interaction once, each step's finding as one JSON object on standard output.
// Arguments: the base, and the name of the element that holds a Medication's dose form in its FHIR version.
import { Client } from "fhir-kit-client";

const [baseUrl, form] = process.argv.slice(2);
const client = new Client({ baseUrl });
const found = {};

found.statement = (await client.capabilityStatement()).fhirVersion;

const created = await client.create({
  resourceType: "Medication",
  body: { resourceType: "Medication", [form]: { text: "tablet" }, identifier: [{ system: "urn:tour", value: baseUrl }] },
});
const id = created.id;
found.created = created[form].text;
found.read = (await client.read({ resourceType: "Medication", id }))[form].text;
created[form].text = "capsule";
found.updated = (await client.update({ resourceType: "Medication", id, body: created })).meta.versionId;
found.vread = (await client.vread({ resourceType: "Medication", id, version: "1" }))[form].text;
const jsonPatch = [{ op: "replace", path: `/${form}/text`, value: "gel" }];
found.patched = (await client.patch({ resourceType: "Medication", id, jsonPatch }))[form].text;
const searchParams = { identifier: `urn:tour|${baseUrl}` };
found.searched = (await client.search({ resourceType: "Medication", searchParams })).entry.map((one) => one.resource[form].text);
found.posted = (await client.search({ resourceType: "Medication", searchParams, options: { postSearch: true } })).entry.length;
found.history = (await client.history({ resourceType: "Medication", id })).entry.map((one) => one.resource[form].text);
found.validated = (await client.operation({ name: "validate", resourceType: "Medication", method: "POST", input: created })).resourceType;

let bundle = await client.search({ resourceType: "MedicationKnowledge", searchParams: { _count: 1, _sort: "_id" } });
found.pages = [];
while (bundle) {
  found.pages.push(...bundle.entry.map((one) => one.resource.id));
  bundle = bundle.link.some((one) => one.relation === "next") ? await client.nextPage({ bundle }) : undefined;
}

const entry = (method, url, resource) => ({ request: { method, url }, ...(resource ? { resource } : {}) });
const batch = await client.batch({
  body: { resourceType: "Bundle", type: "batch", entry: [entry("GET", `Medication/${id}`), entry("GET", "Medication/nobody")] },
});
found.batch = batch.entry.map((one) => one.response.status.slice(0, 3));
const transaction = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      entry("PUT", `Medication/${id}`, { resourceType: "Medication", id, [form]: { text: "drops" } }),
      entry("POST", "Organization", { resourceType: "Organization", name: "Tour" }),
    ],
  },
});
found.transaction = transaction.entry.map((one) => one.response.status.slice(0, 3));
await client.delete({ resourceType: "Medication", id });
found.deleted = await client.read({ resourceType: "Medication", id }).then(
  () => 200,
  (error) => error.response?.status,
);
console.log(JSON.stringify(found));
