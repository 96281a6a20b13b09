-- cmsgpack as scripts know it: MessagePack, with the choices of the lua-cmsgpack in Redis.
--
-- Numbers that are integers are packed as the shortest integer, others as a float where that loses
-- nothing. Tables nested deeper than 16 are packed as nil. Loaded by sandbox.lua.

local native, fail_at_script = ...
local byte, char, concat, floor, sub = string.byte, string.char, table.concat, math.floor, string.sub
local next, rawget, select, type, unpack = next, rawget, select, type, unpack

local error, pcall, tostring = error, pcall, tostring

local MAX_NESTING = 16

-- Inside, an error is its text alone: it is told where the script called.
local function fail(text)
  error(text, 0)
end

local function big_endian(number, bytes)
  local digits = {}
  for at = bytes, 1, -1 do
    digits[at] = number % 256
    number = floor(number / 256)
  end
  return char(unpack(digits))
end

local function pack_integer(number)
  if number >= 0 then
    if number <= 127 then
      return char(number)
    elseif number <= 0xff then
      return "\204" .. char(number)
    elseif number <= 0xffff then
      return "\205" .. big_endian(number, 2)
    elseif number <= 0xffffffff then
      return "\206" .. big_endian(number, 4)
    end
    return "\207" .. native.struct_pack(">I8", number)
  elseif number >= -32 then
    return char(256 + number)
  elseif number >= -128 then
    return "\208" .. char(256 + number)
  elseif number >= -32768 then
    return "\209" .. big_endian(65536 + number, 2)
  elseif number >= -2147483648 then
    return "\210" .. big_endian(4294967296 + number, 4)
  end
  return "\211" .. native.struct_pack(">i8", number)
end

local function pack_number(number)
  if floor(number) == number and number >= -2 ^ 63 and number < 2 ^ 63 then
    return pack_integer(number)
  end
  local short = native.struct_pack(">f", number)
  if short and native.struct_unpack(">f", short) == number then
    return "\202" .. short
  end
  return "\203" .. native.struct_pack(">d", number)
end

local function pack_string(text)
  local size = #text
  if size < 32 then
    return char(0xa0 + size) .. text
  elseif size <= 0xff then
    return "\217" .. char(size) .. text
  elseif size <= 0xffff then
    return "\218" .. big_endian(size, 2) .. text
  end
  return "\219" .. big_endian(size, 4) .. text
end

local function head(size, fix, code)
  if size < 16 then
    return char(fix + size)
  elseif size <= 0xffff then
    return char(code) .. big_endian(size, 2)
  end
  return char(code + 1) .. big_endian(size, 4)
end

-- The number of items when the keys are 1 to n, else nil; and the number of pairs.
local function array_size(t)
  local count, max, array = 0, 0, true
  for key in next, t do
    count = count + 1
    if type(key) ~= "number" or key < 1 or floor(key) ~= key then
      array = false
    elseif key > max then
      max = key
    end
  end
  return array and max == count and count or nil, count
end

local function put(out, value, depth)
  local kind = type(value)
  local text = "\192"
  if kind == "string" then
    text = pack_string(value)
  elseif kind == "number" then
    text = pack_number(value)
  elseif kind == "boolean" then
    text = value and "\195" or "\194"
  elseif kind == "table" and depth < MAX_NESTING then
    local size, pairs_count = array_size(value)
    if size then
      out[#out + 1] = head(size, 0x90, 0xdc)
      for at = 1, size do
        put(out, rawget(value, at), depth + 1)
      end
    else
      out[#out + 1] = head(pairs_count, 0x80, 0xde)
      for key, item in next, value do
        put(out, key, depth + 1)
        put(out, item, depth + 1)
      end
    end
    return
  end
  out[#out + 1] = text
end

local function pack(...)
  local count = select("#", ...)
  if count == 0 then
    fail_at_script("bad argument #0 to 'pack' (MessagePack pack needs input.)")
  end
  local out, given = {}, { ... }
  for at = 1, count do
    put(out, given[at], 0)
  end
  return concat(out)
end

-- Reading -----------------------------------------------------------------

local text, at

local function take(size)
  local start = at
  if start + size - 1 > #text then
    fail("Missing bytes in input.")
  end
  at = start + size
  return sub(text, start, start + size - 1)
end

local function number(size)
  local value = 0
  for _, digit in next, { byte(take(size), 1, size) } do
    value = value * 256 + digit
  end
  return value
end

local function signed(size)
  local value = number(size)
  return value >= 2 ^ (8 * size - 1) and value - 2 ^ (8 * size) or value
end

local read

local function read_array(size)
  local array = {}
  for index = 1, size do
    array[index] = read()
  end
  return array
end

local function read_map(size)
  local map = {}
  for _ = 1, size do
    local key = read()
    local value = read()
    if key == nil or key ~= key then
      error("table index is " .. (key == nil and "nil" or "NaN"), 0)
    end
    map[key] = value
  end
  return map
end

local READERS = {
  [0xc0] = function() return nil end,
  [0xc2] = function() return false end,
  [0xc3] = function() return true end,
  [0xca] = function() return (native.struct_unpack(">f", take(4))) end,
  [0xcb] = function() return (native.struct_unpack(">d", take(8))) end,
  [0xcc] = function() return number(1) end,
  [0xcd] = function() return number(2) end,
  [0xce] = function() return number(4) end,
  [0xcf] = function() return (native.struct_unpack(">i8", take(8))) end,
  [0xd0] = function() return signed(1) end,
  [0xd1] = function() return signed(2) end,
  [0xd2] = function() return signed(4) end,
  [0xd3] = function() return (native.struct_unpack(">i8", take(8))) end,
  [0xd9] = function() return take(number(1)) end,
  [0xda] = function() return take(number(2)) end,
  [0xdb] = function() return take(number(4)) end,
  [0xdc] = function() return read_array(number(2)) end,
  [0xdd] = function() return read_array(number(4)) end,
  [0xde] = function() return read_map(number(2)) end,
  [0xdf] = function() return read_map(number(4)) end,
}

function read()
  local code = byte(take(1))
  if code < 0x80 then
    return code
  elseif code >= 0xe0 then
    return code - 256
  elseif code < 0x90 then
    return read_map(code - 0x80)
  elseif code < 0xa0 then
    return read_array(code - 0x90)
  elseif code < 0xc0 then
    return take(code - 0xa0)
  end
  local reader = READERS[code]
  if not reader then
    fail("Bad data format in input.")
  end
  return reader()
end

local function read_values(limit)
  local values, count = {}, 0
  while at <= #text and (limit == 0 or count < limit) do
    count = count + 1
    values[count] = read()
  end
  return values, count
end

-- Up to `limit` values (0: all) from `offset` on, how many there are, and where the rest begins.
local function unpack_from(given, limit, offset)
  if type(given) == "number" then
    given = tostring(given)
  elseif type(given) ~= "string" then
    fail_at_script("bad argument #1 to 'unpack' (string expected, got " .. type(given) .. ")")
  end
  if offset < 0 or limit < 0 then
    fail_at_script("Invalid request to unpack with offset of " .. offset .. " and limit of " .. #given .. ".")
  elseif offset > #given then
    fail_at_script("Start offset " .. offset .. " greater than input length " .. #given .. ".")
  end
  text, at = given, offset + 1
  local ok, values, count = pcall(read_values, limit)
  text = nil
  if not ok then
    fail_at_script(values)
  end
  return values, count, at <= #given and at - 1 or -1
end

return {
  _NAME = "cmsgpack",
  _VERSION = "lua-cmsgpack 0.4.0",
  _COPYRIGHT = "MessagePack for Lua scripts",
  _DESCRIPTION = "MessagePack C implementation for Lua",
  pack = pack,
  unpack = function(given)
    local values, count = unpack_from(given, 0, 0)
    return unpack(values, 1, count)
  end,
  unpack_one = function(given, offset)
    local values, count, rest = unpack_from(given, 1, offset or 0)
    return rest, unpack(values, 1, count)
  end,
  unpack_limit = function(given, limit, offset)
    local values, count, rest = unpack_from(given, limit, offset or 0)
    return rest, unpack(values, 1, count)
  end,
}
