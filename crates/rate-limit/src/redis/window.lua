-- One tenant's window, kept at KEYS[1] in the form that Window::to_bytes describes. The arithmetic is that of
-- window.rs, which gives the reasons; a test holds the two together.
--
-- ARGV                                              answers
-- 'reserve', limit per minute, burst limit, count   {granted, window}
-- 'give_back', count, at                            nil
-- 'charge', window                                  nil

local FORMAT = '<i8' .. string.rep('I4', 61 + 21)
local LENGTH = 8 + 4 * (61 + 21)
local LONGEST_STEP_BACK = 60000000
local LARGEST_COUNT = 4294967295
-- No stretch of a minute's window outlives its last write by more than 61 s.
local LIFE_MILLIS = 61000

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function stretch(at, width)
  return math.floor(at / width)
end

local function new_window(newest)
  local window = {
    newest = newest,
    { ages = 61, width = 1000000, counts = {} },
    { ages = 21, width = 50000, counts = {} },
  }
  for _, buckets in ipairs(window) do
    for age = 1, buckets.ages do buckets.counts[age] = 0 end
  end
  return window
end

local function unpack_window(bytes)
  local fields = { struct.unpack(FORMAT, bytes) }
  local window = new_window(fields[1])
  local field = 1
  for _, buckets in ipairs(window) do
    for age = 1, buckets.ages do
      field = field + 1
      buckets.counts[age] = fields[field]
    end
  end
  return window
end

local function pack_window(window)
  local fields = { window.newest }
  for _, buckets in ipairs(window) do
    for age = 1, buckets.ages do fields[#fields + 1] = buckets.counts[age] end
  end
  return struct.pack(FORMAT, unpack(fields))
end

local function read()
  local bytes = redis.call('GET', KEYS[1])
  if bytes and #bytes == LENGTH then return unpack_window(bytes) end
end

local function write(window)
  redis.call('SET', KEYS[1], pack_window(window), 'PX', LIFE_MILLIS)
end

local function total(buckets)
  local sum = 0
  for age = 1, buckets.ages do sum = sum + buckets.counts[age] end
  return sum
end

local function add(buckets, age, count)
  if count > 0 and age < buckets.ages then
    buckets.counts[age + 1] = math.min(buckets.counts[age + 1] + count, LARGEST_COUNT)
  end
end

local function advance(window, now)
  if now < window.newest - LONGEST_STEP_BACK then
    for _, buckets in ipairs(window) do
      local sum = total(buckets)
      for age = 1, buckets.ages do buckets.counts[age] = 0 end
      add(buckets, 0, sum)
    end
    window.newest = now
  elseif now > window.newest then
    for _, buckets in ipairs(window) do
      local stretches = stretch(now, buckets.width) - stretch(window.newest, buckets.width)
      if stretches > 0 then
        for age = buckets.ages, 1, -1 do buckets.counts[age] = buckets.counts[age - stretches] or 0 end
      end
    end
    window.newest = now
  end
end

local function reserve(per_minute, burst, count)
  local now = clock()
  local window = read() or new_window(now)
  advance(window, now)
  local granted = math.min(count, per_minute - total(window[1]))
  if burst < per_minute then granted = math.min(granted, burst - total(window[2])) end
  granted = math.max(granted, 0)
  if granted > 0 then
    for _, buckets in ipairs(window) do add(buckets, 0, granted) end
    write(window)
  end
  return { granted, pack_window(window) }
end

local function give_back(count, at)
  local window = read()
  if not window then return end
  for _, buckets in ipairs(window) do
    local age = stretch(window.newest, buckets.width) - stretch(at, buckets.width)
    if age >= 0 and age < buckets.ages then
      buckets.counts[age + 1] = math.max(buckets.counts[age + 1] - count, 0)
    end
  end
  write(window)
end

local function charge(other)
  local now = clock()
  local window = read() or new_window(now)
  advance(window, now)
  for index, buckets in ipairs(window) do
    local older = stretch(window.newest, buckets.width) - stretch(other.newest, buckets.width)
    for age = 0, buckets.ages - 1 do add(buckets, math.max(age + older, 0), other[index].counts[age + 1]) end
  end
  write(window)
end

if ARGV[1] == 'reserve' then
  return reserve(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
elseif ARGV[1] == 'give_back' then
  return give_back(tonumber(ARGV[2]), tonumber(ARGV[3]))
else
  return charge(unpack_window(ARGV[2]))
end
