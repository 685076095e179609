-- What wrk sends: events of which no two have the same id, one or several per request.
--
-- Arguments: the file of sample events, the API key, the number of the run, events per request.
-- Prints one line of JSON at the end.

-- The main state counts threads; each thread has a state of its own and learns its number from here. A local
-- of this file would be a fresh one in every state, and all threads would send the same ids.
local threads = 0

function setup(thread)
    thread:set("thread_number", threads)
    threads = threads + 1
end

local samples = {}
local head, run, batch, sent

local function read_samples(path)
    for line in assert(io.open(path)):lines() do
        local before, between, after = line:match("^(.*)@id@(.*)@number@(.*)$")
        samples[#samples + 1] = { before, between, after }
    end
    assert(#samples > 0, "no sample events")
end

function init(arguments)
    read_samples(arguments[1])
    run, batch, sent = tonumber(arguments[3]), tonumber(arguments[4]), 0
    math.randomseed(run * 1000 + thread_number)

    local path = batch == 1 and "/api/v1/ingestion/events" or "/api/v1/ingestion/events/batch"
    head = table.concat({
        "POST " .. path .. " HTTP/1.1",
        "Host: " .. wrk.host .. ":" .. wrk.port,
        "X-API-Key: " .. arguments[2],
        "Content-Type: application/json",
        "Content-Length: ",
    }, "\r\n")
end

-- Looks and sorts like a random UUID; the last group, the run and the thread make it unique.
local function event_id()
    sent = sent + 1
    local random = math.random
    return string.format("%08x-%04x-4%03x-8%03x-%02x%010x",
        random(0, 0x7fffffff) * 2, random(0, 0xffff), random(0, 0xfff), run % 4096, thread_number, sent)
end

local function body()
    local parts = batch == 1 and {} or { '{"events":[' }
    local last = #parts
    for index = 1, batch do
        local id = event_id()
        local sample = samples[sent % #samples + 1]
        if index > 1 then
            last = last + 1
            parts[last] = ","
        end
        parts[last + 1], parts[last + 2] = sample[1], id
        parts[last + 3], parts[last + 4] = sample[2], math.random(10000, 99999)
        parts[last + 5] = sample[3]
        last = last + 5
    end
    if batch > 1 then
        parts[last + 1] = "]}"
    end
    return table.concat(parts)
end

-- Built by hand: wrk.format would go through a table of headers for every request.
function request()
    local text = body()
    return head .. #text .. "\r\n\r\n" .. text
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"micros":%d,"answers":%d,"refusals":%d,"broken":%d,"p50_micros":%d,"p99_micros":%d}\n',
        summary.duration, summary.requests, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
