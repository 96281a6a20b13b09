-- cjson as scripts know it: the same texts, limits and number format as lua-cjson 2.1 in Redis.
--
-- Loaded by sandbox.lua, with the native functions and its way to fail.

local native, fail_at_script = ...
local error, pcall = error, pcall
local byte, char, find, format, gsub, match, sub =
  string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local concat, floor, huge = table.concat, math.floor, math.huge
local next, rawget, select, tonumber, tostring, type = next, rawget, select, tonumber, tostring, type

local null = newproxy(true)
local meta = getmetatable(null)
meta.__tostring = function()
  return "userdata: NULL"
end
meta.__metatable = false

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\f"] = "\\f" }
ESCAPES["\n"], ESCAPES["\r"], ESCAPES["\t"], ESCAPES["\127"] = "\\n", "\\r", "\\t", "\\u007f"
for code = 0, 31 do
  ESCAPES[char(code)] = ESCAPES[char(code)] or format("\\u%04x", code)
end
local UNESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- Inside, an error is its text alone: it is told where the script called, once what is held of its
-- values is let go of.
local function fail(text)
  error(text, 0)
end

local function new()
  local precision, encode_depth, decode_depth = "%.14g", 1000, 1000
  local convert, ratio, safe = false, 2, 10
  local encode_invalid, decode_invalid = false, true
  local out, size

  -- Encoding --------------------------------------------------------------

  local function put(text)
    size = size + 1
    out[size] = text
  end

  local function put_string(text)
    put('"' .. gsub(text, '[%c"\\/\127]', ESCAPES) .. '"')
  end

  local function put_number(number)
    if number ~= number or number == huge or number == -huge then
      if not encode_invalid then
        fail("Cannot serialise number: must not be NaN or Inf")
      elseif encode_invalid == "null" then
        return put("null")
      end
    end
    put(format(precision, number))
  end

  -- The length of the array that a table is, or nil.
  local function length(t)
    local items, max = 0, 0
    for key in next, t do
      if type(key) ~= "number" or key < 1 or floor(key) ~= key then
        return nil
      end
      items = items + 1
      if key > max then
        max = key
      end
    end
    if ratio > 0 and max > items * ratio and max > safe then
      if not convert then
        fail("Cannot serialise table: excessively sparse array")
      end
      return nil
    end
    return max
  end

  local put_value

  local function put_table(t, depth)
    if depth > encode_depth then
      fail("Cannot serialise, excessive nesting (" .. depth .. ")")
    end
    local count = length(t)
    if count and count > 0 then
      put("[")
      for at = 1, count do
        if at > 1 then
          put(",")
        end
        put_value(rawget(t, at), depth)
      end
      return put("]")
    end
    put("{")
    local comma = false
    for key, value in next, t do
      if comma then
        put(",")
      end
      comma = true
      if type(key) == "string" then
        put_string(key)
      elseif type(key) == "number" then
        put('"')
        put_number(key)
        put('"')
      else
        fail("Cannot serialise " .. type(key) .. ": table key must be a number or string")
      end
      put(":")
      put_value(value, depth)
    end
    put("}")
  end

  function put_value(value, depth)
    local kind = type(value)
    if kind == "string" then
      put_string(value)
    elseif kind == "number" then
      put_number(value)
    elseif kind == "boolean" then
      put(value and "true" or "false")
    elseif kind == "table" then
      put_table(value, depth + 1)
    elseif value == nil or value == null then
      put("null")
    else
      fail("Cannot serialise " .. kind .. ": type not supported")
    end
  end

  local function encode(...)
    if select("#", ...) ~= 1 then
      fail_at_script("bad argument #1 to 'encode' (expected 1 argument)")
    end
    out, size = {}, 0
    local ok, failure = pcall(put_value, (...), 0)
    local pieces = out
    out = nil
    if not ok then
      fail_at_script(failure)
    end
    return concat(pieces)
  end

  -- Decoding --------------------------------------------------------------

  local text, at -- what is read, and where

  local function utf8(code)
    if code < 0x80 then
      return char(code)
    elseif code < 0x800 then
      return char(0xC0 + floor(code / 0x40), 0x80 + code % 0x40)
    elseif code < 0x10000 then
      return char(0xE0 + floor(code / 0x1000), 0x80 + floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
    end
    return char(
      0xF0 + floor(code / 0x40000),
      0x80 + floor(code / 0x1000) % 0x40,
      0x80 + floor(code / 0x40) % 0x40,
      0x80 + code % 0x40
    )
  end

  -- The character of the \u at `here`, and where it ends; nil when it is none.
  local function unicode(here)
    local code = tonumber(match(text, "^\\u(%x%x%x%x)", here) or "", 16)
    if not code or code >= 0xDC00 and code <= 0xDFFF then
      return nil
    elseif code < 0xD800 or code > 0xDFFF then
      return utf8(code), here + 6
    end
    local low = tonumber(match(text, "^\\u(%x%x%x%x)", here + 6) or "", 16)
    if not low or low < 0xDC00 or low > 0xDFFF then
      return nil
    end
    return utf8(0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)), here + 12
  end

  local function token_string(start)
    local stop = find(text, '["\\%z]', start + 1)
    if stop and byte(text, stop) == 34 then
      return "T_STRING", sub(text, start + 1, stop - 1), stop + 1
    end
    local pieces, here = {}, start + 1
    while true do
      stop = find(text, '["\\%z]', here)
      if not stop or byte(text, stop) == 0 then
        return "T_ERROR", "unexpected end of string", stop or #text + 1
      end
      pieces[#pieces + 1] = sub(text, here, stop - 1)
      if byte(text, stop) == 34 then
        return "T_STRING", concat(pieces), stop + 1
      end
      local escape = sub(text, stop + 1, stop + 1)
      if escape == "u" then
        local found, following = unicode(stop)
        if not found then
          return "T_ERROR", "invalid unicode escape code", stop
        end
        pieces[#pieces + 1] = found
        here = following
      else
        if not UNESCAPES[escape] then
          return "T_ERROR", "invalid escape code", stop
        end
        pieces[#pieces + 1] = UNESCAPES[escape]
        here = stop + 2
      end
    end
  end

  local SIMPLE = {
    ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END",
    [","] = "T_COMMA", [":"] = "T_COLON", ["\0"] = "T_END", [""] = "T_END",
  }
  local WORDS = { ["true"] = { "T_BOOLEAN", true }, ["false"] = { "T_BOOLEAN", false }, ["null"] = { "T_NULL" } }
  local INVALID = { inf = huge, infinity = huge, nan = -(0 / 0) }

  -- The next token: its kind, its value, where it starts and what follows it.
  local function token()
    local start = find(text, "[^ \t\n\r]", at) or #text + 1
    local first = sub(text, start, start)
    local simple = SIMPLE[first]
    if simple then
      return simple, nil, start, start + 1
    elseif first == '"' then
      local kind, value, following = token_string(start)
      return kind, value, kind == "T_ERROR" and following or start, following
    end
    local word = WORDS[match(text, "^%l+", start) or ""] or WORDS[sub(text, start, start + 3)]
      or WORDS[sub(text, start, start + 4)]
    if word then
      return word[1], word[2], start, start + (word[2] == false and 5 or 4)
    end
    local digits = match(text, "^-?%d+%.?%d*[eE][+-]?%d+", start) or match(text, "^-?%d+%.?%d*", start)
    local hex = match(text, "^[+-]?0[xX]%x+", start)
    local octal = digits and find(digits, "^-?0%d")
    if digits and not hex and not octal then
      return "T_NUMBER", tonumber(digits), start, start + #digits
    end
    local odd = hex or match(text, "^[+-]?%a+", start) or digits
      or match(text, "^[+-]%d*%.?%d+[eE][+-]?%d+", start) or match(text, "^[+-]%d*%.?%d*", start)
    if odd then
      if not decode_invalid then
        if digits or hex or INVALID[gsub(odd:lower(), "^[+-]", "")] then
          return "T_ERROR", "invalid number", start, start
        end
      else
        local name = gsub(odd:lower(), "^[+-]", "")
        local number = INVALID[name] or tonumber((gsub(odd, "^%+", "")))
        if number then
          number = (INVALID[name] and byte(odd) == 45) and -number or number
          return "T_NUMBER", number, start, start + #odd
        end
      end
    end
    return "T_ERROR", find(first, "[%d+-]") and "invalid number" or "invalid token", start, start
  end

  local function expected(what, kind, value, start)
    local found = kind == "T_ERROR" and value or kind
    fail("Expected " .. what .. " but found " .. found .. " at character " .. start)
  end

  local read

  local function deeper(depth, start)
    if depth > decode_depth then
      fail("Found too many nested data structures (" .. depth .. ") at character " .. start)
    end
    return depth
  end

  local function read_object(depth)
    local object = {}
    local kind, value, start, following = token()
    if kind == "T_OBJ_END" then
      at = following
      return object
    end
    while true do
      if kind ~= "T_STRING" then
        expected("object key string", kind, value, start)
      end
      local key = value
      at = following
      kind, value, start, following = token()
      if kind ~= "T_COLON" then
        expected("colon", kind, value, start)
      end
      at = following
      object[key] = read(depth)
      kind, value, start, following = token()
      at = following
      if kind == "T_OBJ_END" then
        return object
      elseif kind ~= "T_COMMA" then
        expected("comma or object end", kind, value, start)
      end
      kind, value, start, following = token()
    end
  end

  local function read_array(depth)
    local array, count = {}, 0
    local kind, value, start, following = token()
    if kind == "T_ARR_END" then
      at = following
      return array
    end
    while true do
      count = count + 1
      array[count] = read(depth)
      kind, value, start, following = token()
      at = following
      if kind == "T_ARR_END" then
        return array
      elseif kind ~= "T_COMMA" then
        expected("comma or array end", kind, value, start)
      end
    end
  end

  function read(depth)
    local kind, value, start, following = token()
    at = following
    if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" then
      return value
    elseif kind == "T_OBJ_BEGIN" then
      return read_object(deeper(depth + 1, start))
    elseif kind == "T_ARR_BEGIN" then
      return read_array(deeper(depth + 1, start))
    elseif kind == "T_NULL" then
      return null
    end
    expected("value", kind, value, start)
  end

  local function read_all()
    local value = read(0)
    local kind, found, start = token()
    if kind ~= "T_END" then
      expected("the end", kind, found, start)
    end
    return value
  end

  local function decode(...)
    local given = ...
    if select("#", ...) ~= 1 then
      fail_at_script("bad argument #1 to 'decode' (expected 1 argument)")
    elseif type(given) == "number" then
      given = tostring(given)
    elseif type(given) ~= "string" then
      fail_at_script("bad argument #1 to 'decode' (string expected, got " .. type(given) .. ")")
    end
    if #given >= 2 and (byte(given, 1) == 0 or byte(given, 2) == 0) then
      fail_at_script("JSON parser does not support UTF-16 or UTF-32")
    end
    text, at = given, 1
    local ok, value = pcall(read_all)
    text = nil
    if not ok then
      fail_at_script(value)
    end
    return value
  end

  -- Settings --------------------------------------------------------------

  local function integer(value, least, most, name)
    if type(value) ~= "number" or value < least or value > most then
      fail_at_script("bad argument #1 to '" .. name .. "' (expected integer between " .. least .. " and " .. most .. ")")
    end
    return floor(value)
  end

  local module = { null = null, _NAME = "cjson", _VERSION = "2.1.0", new = new, encode = encode, decode = decode }

  function module.encode_max_depth(depth)
    if depth ~= nil then
      encode_depth = integer(depth, 1, 2147483647, "encode_max_depth")
    end
    return encode_depth
  end

  function module.decode_max_depth(depth)
    if depth ~= nil then
      decode_depth = integer(depth, 1, 2147483647, "decode_max_depth")
    end
    return decode_depth
  end

  function module.encode_number_precision(digits)
    if digits ~= nil then
      precision = "%." .. integer(digits, 1, 14, "encode_number_precision") .. "g"
    end
    return tonumber(match(precision, "%d+"))
  end

  function module.encode_sparse_array(new_convert, new_ratio, new_safe)
    if new_convert ~= nil then
      convert = new_convert and true
    end
    ratio = new_ratio ~= nil and integer(new_ratio, 0, 2147483647, "encode_sparse_array") or ratio
    safe = new_safe ~= nil and integer(new_safe, 0, 2147483647, "encode_sparse_array") or safe
    return convert, ratio, safe
  end

  function module.encode_invalid_numbers(setting)
    if setting ~= nil then
      encode_invalid = setting
    end
    return encode_invalid
  end

  function module.decode_invalid_numbers(setting)
    if setting ~= nil then
      decode_invalid = setting
    end
    return decode_invalid
  end

  function module.encode_keep_buffer()
    return true
  end

  return module
end

return new()
