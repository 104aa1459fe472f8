"""Small programs that say all they can about themselves: they must run with notes as without."""

from __future__ import annotations

import sys

# fmt: off
PROGRAMS: dict[str, str] = {}


def program(name: str, source: str) -> None:
    PROGRAMS[name] = source

program("chained comparison", """
log = []
class C:
    def __init__(self, n): self.n = n
    def __lt__(self, other): log.append((self.n, other.n)); return self.n < other.n
    def __contains__(self, key): log.append(key); return key == 2
def f(name, value):
    log.append(name)
    return value
a, b, c, d = C(1), C(2), C(3), {"k": {"k": 1}, 2: {2: 3}}
a.d = d
print(f("a", a) < f("b", b) < f("c", c), f("c", c) < f("b", b) < f("never", a))
print(1 < 2 in d, "k" in d["k"] in [d["k"]], f("x", 2) in f("d", d) in (d,), 2 in c in [c])
print(a.n < b.n < c.n > a.n, "k" in a.d != 3 not in a.d, (2 in b) is (3 not in b))
print(log)
""")


CLASS = """
class C:
    kind = "c"
    def __init__(self, x=1):
        self.x = x
        self.d = {"k": 1}
    def method(self):
        return self.x
"""

program("attributes", CLASS + """
c = C()
c.x += 1
c.y = c.x
c.x, c.z = c.z, c.y = 5, 6
print(c.x, c.y, c.z, c.kind, c.method(), vars(c))
del c.y
try:
    c.y
except AttributeError as error:
    print(error, error.name, error.obj is c)
""")
program("evaluation order", """
log = []
class C:
    pass
def f(name, value):
    log.append(name)
    return value
c = C()
d = {}
f("object", c).x = f("value", 1)
f("object", d)[f("key", "k")] = f("value", 2)
f("object", c).x += f("value", 3)
f("object", d)[f("key", "k")] += f("value", 4)
f("a", c).x, f("b", d)[f("c", 1)] = f("d", (7, 8))
print(f("needle", 1) in f("haystack", d), f("x", d).get(f("y", 1), f("z", 0)))
del f("gone", c).x, f("gone", d)[f("key", "k")]
print(log, vars(c), d)
""")
program("once only", """
class Counting:
    reads = 0
    @property
    def value(self):
        Counting.reads += 1
        return {"k": Counting.reads}
    @value.setter
    def value(self, new):
        Counting.reads += 100
    def __getattr__(self, name):
        Counting.reads += 10000
        if name == "missing":
            raise AttributeError(name)
        return name
c = Counting()
c.value["k"]
c.value.get("k")
"k" in c.value
c.value = 1
c.value |= {}
c.dynamic
c.other.upper()
try:
    c.missing
except AttributeError as error:
    print("no", error)
print(Counting.reads)
""")
program("own access methods", """
log = []
class C:
    def __getattribute__(self, name):
        log.append(("get", name))
        return object.__getattribute__(self, name)
    def __setattr__(self, name, value):
        log.append(("set", name))
        object.__setattr__(self, name, value)
    def __delattr__(self, name):
        log.append(("del", name))
        object.__delattr__(self, name)
c = C()
def g(): return c
c.x = 1
c.x += 1
g().x = 3
g().x += 1
c.x, g().y = 1, 2
del c.x, g().y
for c.i in range(2): pass
print(log)
""")
program("dict subclass and custom mapping", """
log = []
class D(dict):
    def __getitem__(self, key):
        log.append(key)
        return dict.__getitem__(self, key)
    def __missing__(self, key):
        return key
    def get(self, key, default=None):
        log.append("get")
        return default
d = D(a=1)
print(d["a"], d.get("a", 7), "a" in d, log)
class M:
    def __getitem__(self, key): return key * 2
    def __setitem__(self, key, value): log.append((key, value))
    def __delitem__(self, key): log.append(key)
    def __contains__(self, key): return True
m = M()
m[1] = m[2] + 1
m[3] += 4
del m[5]
print(9 in m, 9 not in m, m[1:2] if False else None, log)
""")
program("mangling", """
class _Private:
    __shared = 1
    def __init__(self):
        self.__x = 1
        self.__d = {"k": 0}
    def run(self):
        self.__x += self.__shared
        self.__d["k"] += 1
        def inner():
            return self.__x
        del_me = self.__d.get("k")
        return inner(), self.__d["k"], del_me, [self.__x for _ in range(2)]
    class Inner:
        def __init__(self): self.__y = 2
p = _Private()
print(p.run(), p._Private__x, sorted(vars(p)), vars(_Private.Inner()))
""")
program("mangled globals", """
_C__count = 0
class C:
    def bump(self):
        global __count
        __count += 1
        return __count
print(C().bump(), C().bump(), _C__count)
""")
program("super and class cell", """
class A:
    def __init__(self): self.x = 1
    def m(self): return "A"
    @classmethod
    def make(cls): return cls()
    @property
    def p(self): return self.x
class B(A):
    def __init__(self):
        super().__init__()
        self.y = super().p
    def m(self): return super().m() + __class__.__name__
    @classmethod
    def make(cls): return super().make()
    @staticmethod
    def s(): return B
b = B.make()
print(b.m(), b.y, b.s() is B, super(B, b).m())
""")
program("slots", """
class S:
    __slots__ = ("a", "b")
    def __init__(self): self.a = 1
s = S()
s.a += 1
s.b = s.a
del s.a
try:
    s.a
except AttributeError as error:
    print(error)
try:
    s.c = 1
except AttributeError as error:
    print(error)
class T(S):
    __slots__ = ("__weakref__", "c")
t = T()
t.c = t.a
print(s.b, t.c, S.__slots__, hasattr(s, "__weakref__"))
""")
program("descriptors", """
log = []
class Data:
    def __get__(self, thing, cls):
        log.append("get"); return 1
    def __set__(self, thing, value): log.append(("set", value))
    def __delete__(self, thing): log.append("delete")
class NonData:
    def __get__(self, thing, cls):
        log.append("nget"); return 2
class C:
    data = Data()
    other = NonData()
c = C()
c.data = c.data + c.other
c.other = 5
c.data += c.other
del c.data, c.other
C.other
print(log)
""")
program("cached property", """
from functools import cached_property
class C:
    calls = 0
    @cached_property
    def value(self):
        C.calls += 1
        return C.calls
c = C()
print(c.value, c.value, C.calls, vars(c))
del c.value
print(c.value)
""")
program("walrus", """
total = 0
class C: pass
def f(values):
    global total
    c = C()
    c.x = 0
    if (n := len(values)) > 1 and (total := total + n):
        c.x += n
    squares = [y := v * v for v in values]
    print([last := v for v in values], last)
    c.x = (c := C()) and 1
    return y, squares, hasattr(c, "x")
print(f([1, 2, 3]), total)
""")
program("comprehensions", """
class C:
    xs = [1, 2]
    ys = [x * 2 for x in xs]
    def __init__(self): self.d = {1: "a", 2: "b"}
    def run(self):
        return ([self.d[k] for k in self.xs], {k: self.d.get(k) for k in self.d}, {x for x in self.xs},
                list(self.d[k] for k in self.d if k in self.d), [[self.d[i] for i in self.xs] for _ in self.ys])
print(C().run(), C.ys)
""")
program("targets everywhere", CLASS + """
import contextlib
@contextlib.contextmanager
def ctx():
    yield 7
c = C()
def get(): return c
for c.i in range(3):
    pass
for c.d["n"], get().j in [(1, 2), (3, 4)]:
    print(c.d["n"], c.j)
with ctx() as c.w, ctx() as c.d["w"], ctx() as get().v:
    print(c.w, c.d["w"], c.v)
[c.a, *c.rest] = 1, 2, 3
(c.b, (c.d["p"], get().q)), c.e = (1, (2, 3)), 4
print([0 for c.k in range(2)], c.k)
print(sorted(vars(c).items(), key=lambda item: item[0]))
""")
program("rebinding in one statement", CLASS + """
def f():
    c = old = C()
    new = C(10)
    c, c.x = new, 5
    print(old.x, new.x)
    c.x, c = 7, old
    print(old.x, new.x)
    d = {"a": 1}
    d["a"], d = 2, {"a": 3}
    k = "a"
    d[k], k = 9, "b"
    del c.x, c, d[chr(97)]
    print(d, k)
    try:
        c.x
    except UnboundLocalError as error:
        print(error)
f()
""")
program("globals", """
counter = 0
limit = 3
items = {}
def bump():
    global counter, made
    counter += 1
    made = counter
    items["n"] = counter
    return counter < limit and "n" in items
while bump():
    pass
for counter in range(5): pass
def drop():
    global made
    del made
drop()
try:
    made
except NameError as error:
    print(error)
def load():
    global os, helper, Kind
    import os
    def helper(): return 1
    class Kind: pass
    try:
        raise ValueError(1)
    except ValueError as counter:
        pass
load()
print(counter, items, helper(), Kind.__qualname__, os.path.basename("a/b"))
""")
program("local shadows global", """
value = 1
def a(value):
    return value
def b():
    value = 2
    def c():
        nonlocal value
        value += 1
        return value
    return c()
class K:
    value = 3
    other = value
    def m(self): return value
def d():
    global value
    value = 10
    return [value for value in range(2)], (lambda value: value)(5), value
print(a(7), b(), K.value, K.other, K().m(), d(), value)
""")
program("unbound", """
def f():
    try:
        self.x = 1
    except UnboundLocalError as error:
        print(error)
    try:
        print(self.x)
    except UnboundLocalError as error:
        print(error)
    try:
        d[k]
    except NameError as error:
        print(error)
    self = None
    try:
        self.x = 1
    except AttributeError as error:
        print(error)
f()
""")
program("dict operations", """
from collections import Counter, OrderedDict, defaultdict
D = {"a": 1, "b": {"c": 2}}
def f(key):
    D[key] = 1
    D[key] += 1
    D["b"]["c"] += D.get(key, 0)
    print(D.get("zz"), D.get("zz", 5), D.pop(key), D.pop(key, "none"), D.setdefault("s", 1), D.setdefault("s", 2))
    D.update({"u": 1}, v=2)
    D.update([("w", 3)])
    D.update(zip("xy", (4, 5)))
    print(sorted(D, key=str), "a" in D, "q" not in D, None in D)
    del D["a"], D[chr(98)]
    print(D.popitem())
    D[1, 2] = D[(1, 2)] = 3
    D[-1] = D[1, 2]
    print(D)
    D.clear()
    for bad in (lambda: D["gone"], lambda: D[str(1)], lambda: D.pop("gone"), lambda: D.popitem(), lambda: D[[]],
                lambda: D.get(), lambda: D.update(1), lambda: D.pop(), lambda: D.get(1, 2, 3), lambda: [] in D):
        try:
            bad()
        except Exception as error:
            print(type(error).__name__, error)
f("key")
E = defaultdict(list)
O = OrderedDict(a=1)
N = Counter("aab")
def g(key):
    E[key].append(1)
    E[str(key)].append(2)
    O["b"] = O["a"]
    print(O.popitem(last=False), N["a"], N["zz"], N[str("b")])
    N.update("ab")
    N["q"] += 1
    print(E, O, N)
g("k")
""")
program("errors in dict operations", """
D = {"a": 1}
class Bad:
    def __hash__(self): raise RuntimeError("hash")
def f():
    return D[Bad()]
f()
""")
program("missing key", """
class C:
    def __init__(self): self.d = {}
    def get(self, key):
        return (self.d[key],
                self.d["x"])
C().get("k" + "y")
""")
program("missing key through a stand-in", """
class C:
    def __init__(self): self.d = {}
    def name(self): return "n"
    def get(self):
        return self.d[self.name()]
C().get()
""")
program("error in an attribute of a chain", """
class C:
    def __init__(self): self.next = None
c = C()
c.next = C()
print(c.next.next
       .value
       .more)
""")
program("error while a value is evaluated", CLASS + """
def boom(): raise ValueError("boom")
c = C()
try:
    c.x += boom()
except ValueError:
    print(c.x)
c.d["k"] = (1,
            boom())
""")
program("error in a property", """
class C:
    @property
    def x(self):
        raise LookupError("inside")
    @x.setter
    def x(self, value):
        raise KeyError("setter")
def f(c):
    try:
        c.x = 1
    except KeyError as error:
        raise TypeError("outer") from error
def g():
    try:
        return C().x
    except LookupError:
        f(C())
g()
""")
program("async", CLASS + """
import asyncio
total = 0
class Context:
    async def __aenter__(self): return 5
    async def __aexit__(self, *_): return False
async def values():
    for i in range(3):
        yield i
async def add(c, n):
    global total
    c.x += await later(n)
    c.d["k"] += await later(n)
    total += await later(n)
    async with Context() as c.w:
        async for c.i in values():
            c.seen = [v async for v in values()]
    return await c.method2() if hasattr(c, "method2") else c.x
async def later(n):
    await asyncio.sleep(0)
    return n
async def main():
    c = C()
    print(await asyncio.gather(add(c, 1), add(c, 2)), c.d, total, c.w, c.i, c.seen)
asyncio.run(main())
""")
program("generators", CLASS + """
def gen(c):
    received = yield c.x
    c.x = yield received
    c.d["k"] = yield (yield c.d["k"])
    return (yield from inner(c))
def inner(c):
    c.y = yield c.x
    return c.y
g = gen(C())
print(next(g), g.send(1), g.send(2), g.send(3), g.send(4))
try:
    while True:
        print(g.send(9))
except StopIteration as stop:
    print(stop.value)
""")
program("match", """
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: int = 0
class Color:
    RED = 1
best = None
def f(value):
    global best
    match value:
        case Color.RED: return "red"
        case Point(x=0, y=y): return y
        case Point(x, y) if x in {"k": 1}: return "k"
        case {"a": best, **rest}: return best, rest
        case [first, *others]: return first, others
        case Point(x=best): return best
        case str() as s: return s.upper()
        case _: return None
print([f(v) for v in (1, Point(0, 4), Point("k"), {"a": 1, "b": 2}, [1, 2], Point(5), "s", 3.5)], best)
""")
program("class bodies", """
from __future__ import annotations
import enum, typing
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict
counter = 0
def bump():
    global counter
    counter += 1
    return counter
class Namespace(dict):
    def __getitem__(self, key):
        if not key.startswith("__"): looked_up.append(key)
        return dict.__getitem__(self, key)
looked_up = []
class Meta(type):
    @classmethod
    def __prepare__(cls, name, bases): return Namespace()
class Color(enum.Enum):
    RED = enum.auto()
    BLUE = bump()
    @property
    def pretty(self): return self.name.title() + str(self.value)
@dataclass(slots=True, order=True)
class Item:
    name: str
    tags: dict[str, int] = field(default_factory=dict)
    n: int = counter
class Pair(NamedTuple):
    left: int
    right: typing.Optional[Color] = None
class Shape(TypedDict, total=False):
    sides: int
class Odd(metaclass=Meta):
    base = {"a": 1}
    value = base["a"]
    total = base.get("a", counter)
    base["b"] = value
    def m(self): return self.value
    self_ref = m
i = Item("a")
i.n += 1
i.tags["x"] = Pair(1).left
print(Color.RED.pretty, i, Pair(1, Color.BLUE), Item.__annotations__, Pair.__annotations__, Shape.__annotations__)
print(Odd().m(), Odd.base, looked_up, Item.__slots__, Color["RED"], Color(2))
""")
program("annotations", """
log = []
def note(x):
    log.append(x)
    return int
class C:
    x: note("class") = 1
    y: note("bare")
    def __init__(self: note("self"), a: note("a") = 2) -> note("return"):
        self.a: note("attribute") = a
        self.b: note("attribute without value")
c = C()
v: note("module") = c.a
d = {}
d["k"]: note("item") = 3
print(log, C.__annotations__, __annotations__, C.__init__.__annotations__, vars(c), d)
""")
program(
    "documentation",
    '''"""Module doc."""
counter = 0
def f():
    """Function doc."""
    global counter
    counter = 1
def g():
    f"""not {counter}"""
class C:
    """Class doc."""
    x = counter
print(__doc__, f.__doc__, g.__doc__, C.__doc__)
''',
)
program(
    "format strings",
    CLASS
    + '''
c = C()
width = 7
print(f"{c.x} {c.x=} {c.x!r:>{width}} {c.d['k']:03} {c.method():>{c.x}} {'nested ' + f'{c.kind}'}")
print(f"""{
    c.x
} {c.d.get("k")}""")
''',
)
program("calls", CLASS + """
def f(*args, **kwargs): return args, sorted(kwargs.items())
c = C()
c.args = (1, 2)
c.d = {"a": 1}
print(f(*c.args, c.x, *c.d, **c.d, key=c.x))
print(c.method.__name__, (lambda self: self.x)(c), (c.x if c.d else c.y), not c.x, -c.x, c.x < 2 < c.x + 9)
c.callback = lambda: "called"
print(c.callback(), c.d.get("a").bit_length(), "a b".split()[0], [1, 2][0], (1, 2)[-1], {"q": 1}["q"], "abc"[c.x])
print(sorted(c.d.items()), [*c.d], {**c.d}, c.d.copy())
""")
program("loops and branches", CLASS + """
c = C(0)
while c.x < 5:
    c.x += 1
    if c.x == 2: continue
    if c.x == 4: break
else:
    print("never")
for i in range(3):
    c.d[i] = i
else:
    c.done = True
try:
    c.x = 1 / 0
except ZeroDivisionError as c_error:
    c.error = str(c_error)
else:
    c.error = None
finally:
    c.x = -1
print(vars(c)); c.x = 1; c.y = 2
if c.x: c.z = 1
""")
program("exception groups", CLASS + """
c = C()
try:
    raise ExceptionGroup("g", [ValueError(1), TypeError(2)])
except* ValueError as group:
    c.x = len(group.exceptions)
except* TypeError as group:
    c.y = group.message
print(c.x, c.y)
""")
program("introspection", CLASS + """
import inspect, sys
counter = 0
class Stack:
    def __init__(self): self.depth = len(inspect.stack()); self.frame = sys._getframe().f_lineno
    @property
    def caller(self): return sys._getframe(1).f_code.co_name
    def __getattr__(self, name): return (name, sys._getframe(1).f_code.co_name)
def f(s):
    global counter
    counter = 1
    local = s.caller
    s.other = locals().keys() - {"s"}
    return s.caller, s.dynamic, sorted(locals()), f.__code__.co_varnames, f.__code__.co_firstlineno
s = Stack()
print(f(s), s.other, s.frame, sorted(set(globals()) & {"counter", "f", "s"}), f.__code__.co_names)
print([name for name in globals() if "clew" in name], [name for name in dir(__builtins__) if "clew" in name])
""")
program("decorators and defaults", CLASS + """
c = C()
registry = {}
def register(key, value=c.x, *, table=registry):
    def wrap(function):
        table[key] = function
        function.calls = 0
        return function
    return wrap
@register("a", c.x)
@register(c.kind)
def f(): f.calls += 1; return f.calls
print(f(), f(), registry["a"] is f, registry.get(c.kind) is f, f.calls)
""")
program("multi line statements", CLASS + """
c = C()
c.x = (
    c.x
    +
    c.d["k"]
)
c \\
  .y = [
    1,
    2,
]
c.d[
    "long"
] = c.method(
)
(c
 .x) += (
    1)
c.d[
    str(1)
] = {
    "a":
    c.x,
}
print(c.x,
      c.y
      [0],
      c.d
      .get(
          "long"))
""")
program("module attributes", """
import types, sys
module = types.ModuleType("other")
module.x = 1
module.x += 1
module.d = {"k": 1}
module.d["k"] += module.x
del module.x
sys.modules["other"] = module
import other
other.y = other.d["k"]
print(sorted(k for k in vars(module) if not k.startswith("__")), other.y)
del sys.modules["other"]
""")
program("metaclasses and class attributes", """
class Meta(type):
    made = 0
    def __call__(cls, *args):
        Meta.made += 1
        cls.last = super().__call__(*args)
        return cls.last
    @property
    def label(cls): return cls.__name__.lower()
    def __getattr__(cls, name): return name
class A(metaclass=Meta):
    shared = []
    count = 0
    def __init__(self): type(self).count += 1; self.shared.append(self.count); A.count += 0
class B(A): pass
a, b = A(), B()
B.count += 5
del B.count
print(Meta.made, A.label, B.count, A.shared, a.count, b.count, A.last is a, B.anything)
""")
program("simple namespaces and functions", """
from types import SimpleNamespace
state = SimpleNamespace(n=1, d={})
def f():
    state.n += 1
    state.d["k"] = state.n
    f.calls = getattr(f, "calls", 0) + 1
    del state.d["k"]
f(); f()
try:
    state.missing
except AttributeError as error:
    print(error)
print(state, f.calls)
""")
program("frozen and validating classes", """
from dataclasses import dataclass, FrozenInstanceError
@dataclass(frozen=True)
class P:
    x: int = 1
class V:
    def __setattr__(self, name, value):
        if value < 0: raise ValueError(name)
        super().__setattr__(name, value)
p, v = P(), V()
def get(x): return x
for bad in ("p.x = 2", "v.x = -1", "get(v).x = -1", "get(p).x += 1"):
    try:
        exec(bad)
    except Exception as error:
        print(type(error).__name__, error)
try:
    p.x = 5
except FrozenInstanceError as error:
    print(error)
try:
    v.y = -1
except ValueError as error:
    print(error)
v.z = v.y = 1
get(v).y += 1
print(p, vars(v))
""")
program("death of objects", """
import weakref, gc
log = []
class C:
    def __init__(self, name): self.name = name; self.self = self
    def __del__(self): log.append(self.name)
class S:
    __slots__ = ("name", "held")
    def __init__(self, name): self.name = name
def f():
    for i in range(3):
        s = S(i)
        s.held = C(i)
        s.held.self = None
        s.held.name += 1
        r = weakref.ref(s.held)
        del s
        log.append(r() is None)
    c = C("cycle")
    c.name = c.name
f()
gc.collect()
print(log)
""")
program("star imports and main guard", """
from os.path import *
import os.path as path
if __name__ == "program":
    print(join("a", "b"), path.join("a", "b"), basename("x/y"))
""")
program("deep recursion", """
import sys
class C:
    def __init__(self): self.n = 0
    def down(self, k):
        self.n += 1
        return self.down(k - 1) if k else self.n
print(C().down(100))
""")
if sys.version_info >= (3, 12):
    program("type parameters", """
T = 1
total = 0
def first[T](xs: list[T], k: T = None) -> T:
    global total
    total += 1
    return xs[0]
class Box[T, U: int]:
    item: T
    def __init__(self, item: T): self.item = item
    def get[V](self, other: V) -> tuple[T, V]: return (self.item, other, T)
type Pair[X] = tuple[X, X]
type Name = str
b = Box[int, int](3)
b.item += 1
print(first([1]), b.get(2)[:2], b.get(1)[2], Pair.__value__, Name, T, Box.__type_params__)
""")
    program("nested quotes in format strings", CLASS + """
c = C()
print(f"{c.d["k"]} {f"{c.x:{f"{c.x}"}}"}")
""")
