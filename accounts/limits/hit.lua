-- Takes from every rule, or from none where one refuses. One run is one transaction: Redis runs nothing beside it.
-- Time is the server's own, so that replicas whose clocks differ count alike.
--
-- KEYS: one for each rule, all with the subject as hash tag, so that a cluster keeps them in one slot.
-- ARGV: the lease's name, then for each rule four:
--   "rate",   microseconds in which a unit comes back, the bucket's size, cost
--   "quota",  the window in microseconds, the quota, cost
--   "places", the lease in microseconds, the number of places, cost (0 or 1)
-- Answer: for each rule five integers: passed (0 or 1), remaining, microseconds until all is back, microseconds to
-- wait (0 where it passed), and the quota's window.
--
-- Numbers are written by %.0f: Lua's own way keeps 14 digits, and microseconds since 1970 have 16.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local lease = ARGV[1]
local looked, allowed = {}, true

local function whole(number)
  return string.format('%.0f', number)
end

for i, key in ipairs(KEYS) do
  local at = 4 * i - 2
  local rule = {
    key = key, kind = ARGV[at], unit = tonumber(ARGV[at + 1]), quota = tonumber(ARGV[at + 2]),
    cost = tonumber(ARGV[at + 3]), window = 0, wait = 0,
  }
  if rule.kind == 'rate' then
    rule.full_at = math.max(tonumber(redis.call('GET', key) or 0), now)
    rule.wait = rule.full_at + (rule.cost - rule.quota) * rule.unit - now
    rule.passed = rule.wait <= 0
  elseif rule.kind == 'quota' then
    rule.window = math.floor(now / rule.unit)
    local window, used = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
    rule.used = tonumber(window) == rule.window and tonumber(used) or 0
    rule.passed = rule.used + rule.cost <= rule.quota
    rule.wait = (rule.window + 1) * rule.unit - now
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
    rule.used = redis.call('ZCARD', key)
    rule.passed = rule.used + rule.cost <= rule.quota
    rule.wait = 1000000
  end
  allowed = allowed and rule.passed
  looked[i] = rule
end

local answer = {}
for _, rule in ipairs(looked) do
  local takes = allowed and rule.cost > 0
  local remaining, reset = 0, 0
  if rule.kind == 'rate' then
    if takes then
      rule.full_at = rule.full_at + rule.cost * rule.unit
      redis.call('SET', rule.key, whole(rule.full_at), 'PX', whole(math.ceil((rule.full_at - now) / 1000)))
    end
    reset = rule.full_at - now
    remaining = math.floor((rule.quota * rule.unit - reset) / rule.unit)
  elseif rule.kind == 'quota' then
    reset = (rule.window + 1) * rule.unit - now
    if takes then
      rule.used = rule.used + rule.cost
      redis.call('SET', rule.key, whole(rule.window) .. ':' .. whole(rule.used),
        'PX', whole(math.ceil(reset / 1000)))
    end
    remaining = rule.quota - rule.used
  else
    if takes then
      redis.call('ZADD', rule.key, whole(now + rule.unit), lease)
      redis.call('PEXPIRE', rule.key, whole(math.ceil(rule.unit / 1000)))
      rule.used = rule.used + 1
    end
    remaining = rule.quota - rule.used
  end
  answer[#answer + 1] = rule.passed and 1 or 0
  answer[#answer + 1] = math.max(0, remaining)
  answer[#answer + 1] = reset
  answer[#answer + 1] = rule.passed and 0 or rule.wait
  answer[#answer + 1] = rule.window
end
return answer
