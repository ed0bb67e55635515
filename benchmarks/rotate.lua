-- Asks for the paths given after `--` in turn, so that no answer is measured that only a cache of one entry gives.
local requests, turn = {}, 0

function init(paths)
  wrk.headers["Accept"] = "application/fhir+json"
  local token = os.getenv("BENCHMARK_TOKEN")
  if token and token ~= "" then
    wrk.headers["Authorization"] = "Bearer " .. token
  end
  for i, path in ipairs(paths) do
    requests[i] = wrk.format("GET", path)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
