-- wrk's load: agent calls of one kind, each with a ticket of its own, and the result as one JSON line.
-- Argument: the number of the first ticket, so that no two runs send the same call.
local opening = string.rep("Sort the ticket into one of the queues, and say how urgent it is. ", 14)
local before = '{"model":"gpt-4o-mini","temperature":0,"messages":[{"role":"system","content":"' .. opening ..
  '"},{"role":"user","content":"Ticket '
local after = ': the parcel was to come on Monday, it is Friday, and nobody answers the phone."}]}'
local ticket = 0

wrk.headers["Content-Type"] = "application/json"

function init(arguments)
  ticket = tonumber(arguments[1]) or 0
end

function request()
  ticket = ticket + 1
  return wrk.format("POST", nil, nil, before .. ticket .. after)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"n_calls":%d,"seconds":%.6f,"n_errors":%d,"p50_us":%.1f,"p90_us":%.1f,"p99_us":%.1f,"max_us":%.1f}\n',
    summary.requests, summary.duration / 1e6, e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
