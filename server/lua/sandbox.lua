-- The world that scripts live in: what they may call, what they may not change, how they end.
--
-- The table of globals is emptied, and what Redis gives to scripts is shown through it by a
-- metatable, so that chunks, coroutines and loadstring() see the same whatever they do. Tables that
-- scripts share are proxies: empty tables that show another one and refuse to be written. Functions
-- of Python are never in reach of a script, only Lua functions that hold them as upvalues.
--
-- Called once with a table of Python functions; returns what the interpreter calls.

local native, soft_limit = ...

local error, getmetatable, setmetatable, next, pairs, pcall, xpcall, rawget, rawset, select, tostring, type, unpack =
  error, getmetatable, setmetatable, next, pairs, pcall, xpcall, rawget, rawset, select, tostring, type, unpack
local collectgarbage, gcinfo, loadstring, setfenv = collectgarbage, gcinfo, loadstring, setfenv
local concat, insert, remove, sort, setn = table.concat, table.insert, table.remove, table.sort, table.setn
local getinfo, sethook = debug.getinfo, debug.sethook
local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local byte = string.byte

local OURS = getinfo(1, "S").source
local READONLY = "Attempt to modify a readonly table"
local job -- what calls the script, below
local FIRST = 2 -- the level of the caller of a function that uses `fail`

-- An error where the script's own code stands, as luaL_error of a C function has it. When it said
-- `return f()`, its place on the stack is gone, and where it was can only be guessed; so no function
-- that scripts call may end in such a call itself if that can fail.
local function fail(text)
  local level = FIRST
  local info = getinfo(level, "S")
  while info do
    local below = info.what == "tail" and getinfo(level + 1, "Sf")
    if info.source ~= OURS and not (below and below.source == OURS and below.func ~= job) then
      break
    end
    level = level + 1
    info = getinfo(level, "S")
  end
  if info and info.what == "tail" then
    error(native.place() .. ": " .. text, 0)
  end
  error(text, level)
end

-- Proxies ---------------------------------------------------------------------------------------

local shown = {} -- proxy -> the table it shows
local locked = setmetatable({}, { __newindex = function() error(READONLY, 2) end, __metatable = false })

local function refuse()
  error(READONLY, 2)
end

-- A proxy of `t`, and the metatable that says what it shows.
local function protect(t)
  local proxy, meta = {}, { __index = t, __newindex = refuse, __metatable = locked }
  shown[proxy] = t
  return setmetatable(proxy, meta), meta
end

local function writable(t)
  if shown[t] then
    error(READONLY, 0)
  end
  return t
end

-- Memory and time -------------------------------------------------------------------------------

local PERIOD = 100000 -- instructions between two looks at the clock

local killed

-- Ends the script when it holds too much: what the allocator allows beyond that is room for what
-- Python hands over, since an allocation that fails there could not be caught.
local function full()
  if gcinfo() > soft_limit then
    collectgarbage()
    return gcinfo() > soft_limit * 7 / 8 and "not enough memory"
  end
end

-- Functions of Python that return strings: there must be room for these before they are called.
for name in ("sha1 log struct_pack struct_unpack struct_size bit setresp acl_check set_repl"):gmatch("%S+") do
  local call = native[name]
  native[name] = function(...)
    local failure = full()
    if failure then
      error(failure, 0)
    end
    return call(...)
  end
end

local function watch()
  killed = killed or full() or native.poll() or nil
  if killed then
    sethook(watch, "l", 1) -- again at once, so that no pcall of the script can go on
  end
  -- Our own code is spared: some of it runs where nothing would catch the error.
  local info = getinfo(2, "S")
  if killed and info and info.source ~= OURS then
    error(killed, 0)
  end
end

local function rearm()
  killed = nil
  sethook(watch, "", PERIOD)
end

-- Hooks belong to one coroutine: each gets its own, whenever it is resumed, since Lua remembers them
-- in a table that only grows, and that is made anew after a script that used coroutines.
local registry = debug.getregistry()
local hooks, main, spawned

local function find_hooks()
  for key, value in next, registry do
    if type(value) == "table" then
      for thread, hook in next, value do
        if hook == watch then
          hooks, main = key, thread
        end
      end
    end
  end
end

local function forget_coroutines()
  if spawned then
    spawned = false
    registry[hooks] = { [main] = watch }
  end
end

local function enter(thread, ...)
  if killed then
    error(killed, 0)
  end
  if type(thread) == "thread" then
    spawned = true
    sethook(thread, watch, "", PERIOD)
  end
  return resume(thread, ...)
end

-- What a function of Python raised arrives as an object of Python, which no script may see.
local function clean(failure)
  if type(failure) == "userdata" then
    local text = native.failure(failure)
    if text then
      return { err = text, ignore_error_stats_update = true }
    end
  end
  return failure
end

local function resumed(ok, ...)
  if not ok then
    return false, clean((...))
  end
  return ok, ...
end

local function unwrapped(ok, ...)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- Libraries -------------------------------------------------------------------------------------

local base = {}

local names = "assert error gcinfo ipairs rawequal select tonumber tostring type unpack next _VERSION"
for name in names:gmatch("%S+") do
  base[name] = _G[name]
end

function base.getmetatable(value)
  if type(value) == "string" then
    return nil
  end
  return getmetatable(value)
end

function base.setmetatable(t, meta)
  return setmetatable(writable(t), meta)
end

function base.rawget(t, key)
  return rawget(shown[t] or t, key)
end

function base.rawset(t, key, value)
  return rawset(writable(t), key, value)
end

function base.pairs(t)
  local real = shown[t]
  if not real then
    return pairs(t)
  end
  return function(_, key)
    return next(real, key)
  end, t, nil
end

-- An error reply is a table; what pcall returns of it has always been its text.
local function settled(ok, ...)
  if not ok then
    local failure = clean((...))
    if type(failure) == "table" and type(rawget(failure, "err")) == "string" then
      return false, failure.err
    end
    return false, failure
  end
  return ok, ...
end

function base.pcall(...)
  return settled(pcall(...))
end

-- The handler is called once the failed function is left: where Lua calls it, within the hook that
-- ended a killed script, no hook would end the handler.
local function handled(handler, ok, ...)
  if ok then
    return ok, ...
  end
  return false, select(2, pcall(handler, clean((...))))
end

function base.xpcall(f, handler)
  return handled(handler, pcall(f))
end

function base.collectgarbage(what, ...)
  if what == "stop" or what == "setpause" or what == "setstepmul" then
    return 0 -- the collector works for every script
  end
  return collectgarbage(what, ...)
end

-- Bytecode can break out of any sandbox: only text is loaded.
function base.loadstring(code, name)
  if type(code) == "string" and byte(code) == 27 then
    return nil, "attempt to load binary chunk"
  end
  return loadstring(code, name)
end

function base.load(reader, name)
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == "" then
      break
    elseif type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    pieces[#pieces + 1] = piece
  end
  return base.loadstring(concat(pieces), name or "=(load)")
end

local function library(source)
  local copy = {}
  for key, value in pairs(source) do
    copy[key] = value
  end
  return copy
end

local tables = library(table)
function tables.insert(t, ...)
  return insert(writable(t), ...)
end
function tables.remove(t, ...)
  return remove(writable(t), ...)
end
function tables.sort(t, ...)
  return sort(writable(t), ...)
end
base.table = protect(tables)
base.string = protect(library(string))
base.math = protect(library(math))
base.os = protect({ clock = os.clock })

local meta = getmetatable("")
meta.__metatable = locked
meta.__index = library(string)

base.coroutine = protect({
  create = create,
  resume = function(...)
    return resumed(enter(...))
  end,
  status = status,
  running = coroutine.running,
  yield = coroutine.yield,
  wrap = function(f)
    local thread = create(f)
    return function(...)
      return unwrapped(resumed(enter(thread, ...)))
    end
  end,
})

-- redis -----------------------------------------------------------------------------------------

-- What a native function returned: a value, or nil and the text of an error.
local function checked(value, failure)
  if failure then
    error({ err = "ERR " .. failure }, 0)
  end
  return value
end

local shared = {}

function shared.sha1hex(...)
  if select("#", ...) ~= 1 then
    return checked(nil, "wrong number of arguments")
  end
  local value = ...
  return native.sha1(type(value) == "number" and tostring(value) or value)
end

function shared.log(...)
  return checked(native.log(...))
end

function shared.error_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then
    return { err = "ERR wrong number or type of arguments" }
  end
  if byte(text) == 45 then -- '-': the code is given
    return { err = text:sub(2) }
  end
  return { err = text:find(" ", 1, true) and text or "ERR " .. text }
end

function shared.status_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then
    return { err = "ERR wrong number or type of arguments" }
  end
  return { ok = text }
end

for name, value in pairs(native.constants) do
  shared[name] = value
end

local redis = library(shared)

redis.call = python.as_function(native.call)
redis.pcall = python.as_function(native.pcall)

function redis.setresp(...)
  return checked(native.setresp(select("#", ...), ...))
end

function redis.acl_check_cmd(...)
  return checked(native.acl_check(...))
end

function redis.set_repl(...)
  return checked(native.set_repl(select("#", ...), ...))
end

function redis.replicate_commands()
  return true
end

function redis.breakpoint()
  return false
end

function redis.debug() end

-- What went wrong, and where in the script: the innermost function that is not ours.
local function describe(failure)
  failure = clean(failure)
  if type(failure) ~= "table" then
    failure = { err = "ERR " .. tostring(failure) }
  end
  local level = FIRST
  local info = getinfo(level, "Sl")
  while info and (info.what == "C" or info.what == "tail" or info.source == OURS) do
    level = level + 1
    info = getinfo(level, "Sl")
  end
  if info and rawget(failure, "source") == nil and not shown[failure] then
    failure.source, failure.line = info.source, info.currentline
  end
  return failure
end

base.__redis__err__handler = describe
base.redis = protect(redis)

base.cjson = protect(loadstring(native.cjson, OURS)(native, fail))
base.cmsgpack = protect(loadstring(native.cmsgpack, OURS)(native, fail))
local bit, struct = loadstring(native.numbers, OURS)(native, fail)
base.bit, base.struct = protect(bit), protect(struct)

-- Globals ---------------------------------------------------------------------------------------

local function unknown(_, key)
  if key == "debug" then
    return nil -- lupa looks for it, outside of any protected call
  end
  error("Script attempted to access nonexistent global variable '" .. tostring(key) .. "'", 2)
end

-- Functions of libraries see the same, but for KEYS and ARGV; while a library is loaded, `redis` shows
-- little more than redis.register_function.
local for_functions = setmetatable(library(base), { __index = unknown })
local functions = protect(for_functions)
local loading = setmetatable(library(shared), { __index = unknown })
local redis_meta
for_functions._G = functions
for_functions.redis, redis_meta = protect(redis)

function loading.register_function(...)
  return checked(native.register(select("#", ...), ...))
end

local real = _G
for name in pairs(library(real)) do -- of a copy: this empties it
  real[name] = nil
end
setmetatable(base, { __index = unknown })
base._G = real
shown[real] = base
setmetatable(real, { __index = base, __newindex = refuse, __metatable = locked })

-- Running ---------------------------------------------------------------------------------------

local MAX_DEPTH = 128
local out, size

local function put(tag, value)
  out[size + 1], out[size + 2] = tag, value
  size = size + 2
end

-- The reply that a value stands for, as a flat sequence of tags and values.
local function export(value, depth)
  local kind = type(value)
  if kind == "string" then
    return put("$", value)
  elseif kind == "number" then
    return put(":", value)
  elseif kind == "boolean" then
    return put("?", value)
  elseif kind ~= "table" then
    return put("_", false)
  elseif depth > MAX_DEPTH then
    return put("-", "ERR reached lua stack limit")
  end
  local part = rawget(value, "err")
  if type(part) == "string" then
    return put("-", part)
  end
  part = rawget(value, "ok")
  if type(part) == "string" then
    return put("+", part)
  end
  part = rawget(value, "double")
  if type(part) == "number" then
    return put(",", part)
  end
  part = rawget(value, "map")
  if type(part) == "table" then
    local at, count = size + 2, 0
    put("%", 0)
    for key, item in next, part do
      export(key, depth + 1)
      export(item, depth + 1)
      count = count + 1
    end
    out[at] = count
    return
  end
  part = rawget(value, "set")
  if type(part) == "table" then
    local at, count = size + 2, 0
    put("~", 0)
    for item in next, part do
      export(item, depth + 1)
      count = count + 1
    end
    out[at] = count
    return
  end
  part = rawget(value, "big_number")
  if type(part) == "string" then
    return put("(", part)
  end
  part = rawget(value, "verbatim_string")
  if type(part) == "table" then
    local form, text = rawget(part, "format"), rawget(part, "string")
    if type(form) == "string" and type(text) == "string" then
      return put("=", form .. ":" .. text)
    end
  end
  local at, count = size + 2, 0
  put("*", 0)
  local item = rawget(value, 1)
  while item ~= nil do
    export(item, depth + 1)
    count = count + 1
    item = rawget(value, count + 1)
  end
  out[at] = count
end

local body, first, second -- what `job` runs: upvalues, so that no run makes a closure

function job()
  local value = body(first, second)
  if type(value) ~= "table" then
    local kind = type(value)
    if kind == "string" or kind == "number" or kind == "boolean" then
      return value
    end
    return nil
  end
  out, size = {}, 0
  export(value, 0)
  return out
end

local function run(f, a, b)
  body, first, second = f, a, b
  local ok, result = xpcall(job, describe)
  body, first, second, out = nil, nil, nil, nil
  forget_coroutines()
  if ok then
    return true, result
  elseif type(result) ~= "table" then
    return false, "ERR " .. tostring(result)
  end
  local text = rawget(result, "err")
  return false,
    type(text) == "string" and text or "ERR unknown error",
    rawget(result, "source"),
    rawget(result, "line"),
    rawget(result, "ignore_error_stats_update") == true
end

local function run_script(f, keys, argv)
  base.KEYS, base.ARGV = keys, argv
  local ok, result, source, line, counted = run(f)
  base.KEYS, base.ARGV = nil, nil
  return ok, result, source, line, counted
end

local function run_library(f)
  redis_meta.__index = loading
  local ok, result, source, line = run(setfenv(f, functions))
  redis_meta.__index = redis
  return ok, result, source, line
end

local function fields(t) -- of a named-argument table: raw, whatever its metatable says
  local flat = {}
  for key, value in next, t do
    flat[#flat + 1] = key
    flat[#flat + 1] = value
  end
  return flat
end

rearm()
find_hooks()
return run_script, run, run_library, rearm, fields
