-- Frees the places that a hit holds, and puts back what it took from quotas and was not needed.
--
-- KEYS: one for each rule that has something to give back, all with the subject as hash tag.
-- ARGV: the lease's name, then for each rule two:
--   "places", 0
--   the quota's window, how much is put back. A window that is over is left alone.
for i, key in ipairs(KEYS) do
  local kind, amount = ARGV[2 * i], tonumber(ARGV[2 * i + 1])
  if kind == 'places' then
    redis.call('ZREM', key, ARGV[1])
  else
    local window, used = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
    if window == kind then
      local left = string.format('%.0f', math.max(0, tonumber(used) - amount))
      redis.call('SET', key, window .. ':' .. left, 'KEEPTTL')
    end
  end
end
return 0
