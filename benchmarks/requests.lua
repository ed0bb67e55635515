-- Sends the requests of the file named after `--` in turn: a line for each, with method, path, If-None-Exist and body between
-- tabs. `%n` in the last two is a number that no other request of the run has, so that each writes something else.
local requests, turn, number = {}, 0, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, unless, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    requests[#requests + 1] = { method = method, path = path, unless = unless, body = body }
  end
  number = tonumber(arguments[2])
end

function request()
  turn = turn % #requests + 1
  number = number + 1
  local one = requests[turn]
  local headers = {
    ["Accept"] = "application/fhir+json",
    ["Content-Type"] = "application/fhir+json",
    ["Cache-Control"] = "no-cache",
  }
  if one.unless ~= "" then
    headers["If-None-Exist"] = one.unless:gsub("%%n", tostring(number))
  end
  local body = one.body ~= "" and one.body:gsub("%%n", tostring(number)) or nil
  return wrk.format(one.method, one.path, headers, body)
end
