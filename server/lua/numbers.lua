-- bit and struct as scripts know them: thin functions over those of Python, with luaL's texts.
--
-- Loaded by sandbox.lua, with the native functions and its way to fail. Returns two tables.

local native, fail = ...
local format, select, tonumber, type, unpack = string.format, select, tonumber, type, unpack

local function number(name, at, value)
  local found = tonumber(value)
  if not found then
    local kind = value == nil and "no value" or type(value)
    fail(format("bad argument #%d to '%s' (number expected, got %s)", at, name, kind))
  end
  return found
end

local bit = {}

for name in ("tobit bnot bswap"):gmatch("%S+") do
  bit[name] = function(value)
    return native.bit(name, number(name, 1, value), 0)
  end
end

for name in ("lshift rshift arshift rol ror"):gmatch("%S+") do
  bit[name] = function(value, by)
    return native.bit(name, number(name, 1, value), number(name, 2, by))
  end
end

for name in ("band bor bxor"):gmatch("%S+") do
  bit[name] = function(...)
    local result = native.bit("tobit", number(name, 1, (...)), 0)
    for at = 2, select("#", ...) do
      result = native.bit(name, result, number(name, at, (select(at, ...))))
    end
    return result
  end
end

function bit.tohex(value, digits)
  return native.bit("tohex", number("tohex", 1, value), digits == nil and 8 or number("tohex", 2, digits))
end

local struct = {}

function struct.pack(...)
  local data, failure = native.struct_pack(...)
  if failure then
    fail(failure)
  end
  return data
end

function struct.unpack(...)
  local found = { native.struct_unpack(...) }
  if found[1] == nil then
    fail(found[2])
  end
  return unpack(found)
end

function struct.size(...)
  local size, failure = native.struct_size(...)
  if failure then
    fail(failure)
  end
  return size
end

return bit, struct
