-- Creates a resource with each request, each another one: the first argument after `--` tells these from those of others.
-- Prints what became of them as JSON; of what was not a 201 the number.
local mark, number = "", 0
local threads = {}
local body = '{"resourceType":"Medication","identifier":[{"system":"http://example.org/sku","value":"%s-%d"}],'
  .. '"code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"%s-%d"}],"text":"Medication %d"},'
  .. '"status":"active","doseForm":{"coding":[{"system":"http://snomed.info/sct","code":"385049006"}]}}'

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  mark, created, refused = arguments[1], 0, 0
  wrk.headers["Content-Type"] = "application/fhir+json"
  wrk.headers["Prefer"] = "return=minimal"
end

function request()
  number = number + 1
  return wrk.format("POST", "/fhir/Medication", nil, string.format(body, mark, number, mark, number, number))
end

function response(status)
  if status == 201 then
    created = created + 1
  else
    refused = refused + 1
  end
end

function done(summary, latency)
  local made, not_made = 0, 0
  for _, thread in ipairs(threads) do
    made = made + thread:get("created")
    not_made = not_made + thread:get("refused")
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"created":%d,"refused":%d,"errors":%d,"seconds":%f,"p50":%f,"p99":%f,"longest":%f}\n',
    made, not_made, errors, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
