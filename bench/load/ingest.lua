-- What wrk sends: events of which no two have the same id, one or several per request.
--
-- Arguments: the file of sample events, API keys with commas between, the number of the run, events per request,
-- how many of a hundred events are sent again.
-- Prints one line of JSON at the end.

-- The main state counts threads; each thread has a state of its own and learns its number from here. A local
-- of this file would be a fresh one in every state, and all threads would send the same ids.
local threads = {}

function setup(thread)
    thread:set("thread_number", #threads)
    table.insert(threads, thread)
end

local samples = {}
local heads, run, batch, sent, share
-- The events that may be sent again.
local recent = {}
local RECENT = 1000
-- A global, for `done` to read.
repeated = 0

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
    share = tonumber(arguments[5])
    math.randomseed(run * 1000 + thread_number)

    local path = batch == 1 and "/api/v1/ingestion/events" or "/api/v1/ingestion/events/batch"
    heads = {}
    for key in arguments[2]:gmatch("[^,]+") do
        heads[#heads + 1] = table.concat({
            "POST " .. path .. " HTTP/1.1",
            "Host: " .. wrk.host .. ":" .. wrk.port,
            "X-API-Key: " .. key,
            "Content-Type: application/json",
            "Content-Length: ",
        }, "\r\n")
    end
end

-- Looks and sorts like a random UUID; the last group, the run and the thread make it unique.
local function event_id()
    sent = sent + 1
    local random = math.random
    return string.format("%08x-%04x-4%03x-8%03x-%02x%010x",
        random(0, 0x7fffffff) * 2, random(0, 0xffff), random(0, 0xfff), run % 4096, thread_number, sent)
end

-- A new event, or now and then one of the last ones as it was.
local function event()
    if share > 0 and #recent == RECENT and math.random(100) <= share then
        repeated = repeated + 1
        return recent[math.random(RECENT)]
    end
    local id = event_id()
    local sample = samples[sent % #samples + 1]
    local text = table.concat({ sample[1], id, sample[2], math.random(10000, 99999), sample[3] })
    if share > 0 then
        recent[(sent - 1) % RECENT + 1] = text
    end
    return text
end

local function body()
    if batch == 1 then
        return event()
    end
    local events = {}
    for index = 1, batch do
        events[index] = event()
    end
    return '{"events":[' .. table.concat(events, ",") .. "]}"
end

-- Built by hand: wrk.format would go through a table of headers for every request.
local requests = 0

function request()
    local text = body()
    requests = requests + 1
    return heads[requests % #heads + 1] .. #text .. "\r\n\r\n" .. text
end

function done(summary, latency)
    local errors = summary.errors
    local again = 0
    for _, thread in ipairs(threads) do
        again = again + thread:get("repeated")
    end
    io.write(string.format(
        '{"micros":%d,"answers":%d,"refusals":%d,"broken":%d,"p50_micros":%d,"p99_micros":%d,"p999_micros":%d,"repeated":%d}\n',
        summary.duration, summary.requests, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), again))
end
