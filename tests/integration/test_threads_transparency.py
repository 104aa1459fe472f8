"""A program cannot tell that its threads, locks, queues and executors are recorded."""

from __future__ import annotations

import re

SHOW_FAILURE = '''
import re, traceback

def show_failure(function, *arguments, **options):
    """Print the whole traceback, as the program would see it."""
    try:
        print("no failure:", re.sub("0x[0-9a-f]+", "0x", repr(function(*arguments, **options))))
    except BaseException:
        print(re.sub("0x[0-9a-f]+", "0x", traceback.format_exc()))
'''


def same_in_both(record, plain, program: str):
    """Run the program recorded and plain; assert it printed the same, and that no hook failed."""
    done, expected = record(program), plain(program)
    assert (expected.returncode, expected.stderr) == (0, ""), expected.stderr
    assert (done.returncode, done.problems) == (0, {}), done.stderr
    assert done.stdout == expected.stdout
    return done


def test_failures_have_the_same_tracebacks(record, plain):
    """Every exception of every primitive: type, message, and each line of its traceback."""
    done = same_in_both(
        record,
        plain,
        SHOW_FAILURE
        + """
import concurrent.futures as futures, queue, threading

for lock in (threading.Lock(), threading.RLock()):
    show_failure(lock.release)
    show_failure(lock.acquire, False, 1)
    show_failure(lock.acquire, True, -2)
    show_failure(lock.acquire, True, 1e30)
    show_failure(lock.acquire, True, float("nan"))
    show_failure(lock.acquire, timeout="x")
    try:
        with lock:
            1 / 0
    except ZeroDivisionError:
        traceback.print_exc(file=__import__("sys").stdout)
    print(lock.acquire(False) and lock.release())

thread = threading.Thread(target=int)
show_failure(thread.join)
thread.start()
show_failure(thread.start)
thread.join()
show_failure(thread.start)
show_failure(threading.current_thread().join)
show_failure(thread.join, "x")
show_failure(setattr, thread, "daemon", True)
show_failure(threading.Thread, group=1)

class Unready(threading.Thread):
    def __init__(self):
        pass

show_failure(Unready().start)
show_failure(Unready().join)
show_failure(setattr, Unready(), "name", "x")
show_failure(threading.Semaphore, -1)
show_failure(threading.Semaphore().acquire, False, 1)
show_failure(threading.Semaphore().release, 0)
show_failure(threading.Semaphore().release, "x")
show_failure(threading.BoundedSemaphore().release)
show_failure(threading.Condition().wait)
show_failure(threading.Condition().notify)
show_failure(threading.Condition, 5)
show_failure(threading.Event().wait, "x")
barrier = threading.Barrier(2)
show_failure(barrier.wait, 0.01)
show_failure(barrier.wait)
barrier.reset()
barrier.abort()
show_failure(barrier.wait)

def fail():
    raise ValueError("action")

show_failure(threading.Barrier(1, action=fail).wait)
for items in (queue.Queue(1), queue.LifoQueue(1), queue.PriorityQueue(1)):
    show_failure(items.get, False)
    show_failure(items.get_nowait)
    show_failure(items.get, timeout=0.01)
    show_failure(items.get, timeout=-1)
    items.put(1)
    show_failure(items.put, 1, False)
    show_failure(items.put_nowait, 1)
    show_failure(items.put, 1, timeout=0.01)
    items.task_done()
    show_failure(items.task_done)
show_failure(queue.SimpleQueue().get, False)
show_failure(queue.SimpleQueue().get_nowait)
show_failure(queue.SimpleQueue().get, timeout=0.01)
show_failure(queue.SimpleQueue().get, timeout=-1)
show_failure(queue.SimpleQueue().get, True, "x")
unordered = queue.PriorityQueue()
unordered.put(1)
show_failure(unordered.put, "x")
with futures.ThreadPoolExecutor(1) as pool:
    job = pool.submit(fail)
    show_failure(job.result)
    show_failure(job.result)
    print(repr(job.exception()))
    show_failure(list, pool.map(fail, [1]))
    show_failure(pool.submit)
    show_failure(futures.wait, [job], return_when="never")
show_failure(pool.submit, fail)
future = futures.Future()
show_failure(future.result, 0.01)
show_failure(future.exception, 0)
future.cancel()
show_failure(future.result)
show_failure(future.set_result, 1)
show_failure(list, futures.as_completed([futures.Future()], 0.01))
""",
    )

    assert not re.search(r"\bclew\b", done.stdout)


def test_classes_and_functions_look_the_same(record, plain):
    """Signatures, names, documentation, ``isinstance``, subclasses, ``repr``."""
    same_in_both(
        record,
        plain,
        SHOW_FAILURE
        + """
import _thread, concurrent.futures as futures, functools, inspect, queue, threading, weakref

for cls in (threading.Thread, threading.Timer, threading.Condition, threading.Semaphore, threading.BoundedSemaphore,
            threading.Event, threading.Barrier, queue.Queue, queue.LifoQueue, queue.PriorityQueue, futures.Future,
            futures.ThreadPoolExecutor, futures.ProcessPoolExecutor):
    print(cls.__module__, cls.__qualname__, cls.__mro__, inspect.getdoc(cls))
    for name, member in inspect.getmembers(cls):
        if inspect.isfunction(member):
            print(name, inspect.signature(member), member.__module__, member.__qualname__, member.__doc__)
        elif isinstance(member, property):
            print(name, "property", member.__doc__)
print(inspect.signature(futures.wait), futures.wait.__doc__)

lock, rlock, items = threading.Lock(), threading.RLock(), queue.SimpleQueue()
plain_lock, plain_rlock = _thread.allocate_lock(), _thread.RLock()
for thing in (lock, rlock, items):
    print(re.sub("0x[0-9a-f]+", "0x", repr(thing)), weakref.ref(thing)() is thing, {thing: 1}[thing], thing == thing,
          bool(thing), callable(thing))
for thing in (lock, plain_lock):
    print(isinstance(thing, type(lock)), isinstance(thing, type(plain_lock)), isinstance(thing, _thread.LockType),
          isinstance(thing, type(threading.Lock())))
for thing in (rlock, plain_rlock):
    print(isinstance(thing, type(rlock)), isinstance(thing, _thread.RLock), isinstance(thing, type(threading.RLock())))
print(isinstance(5, type(lock)), isinstance(5, type(rlock)))
print(callable(threading.Lock), callable(threading.RLock), isinstance(items, queue.SimpleQueue))

@functools.singledispatch
def kind(thing):
    return "unknown"

kind.register(_thread.LockType)(lambda thing: "lock")
kind.register(_thread.RLock)(lambda thing: "rlock")
print(kind(lock), kind(rlock), kind(5))
show_failure(type, "Mine", (type(lock),), {})

class Mine(type(rlock)):
    def acquire(self, *args, **options):
        print("acquire", args, options)
        return super().acquire(*args, **options)
    __enter__ = acquire

with Mine() as got:
    print(got, bool(threading.Condition(Mine())))

class Simple(queue.SimpleQueue):
    pass

print(isinstance(Simple(), queue.SimpleQueue), isinstance(queue.SimpleQueue(), Simple), queue.SimpleQueue.__name__)

class Worker(threading.Thread):
    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []
    def start(self):
        self.seen.append("start")
        super().start()
    def run(self):
        self.seen.append("run")
        super().run()
    def join(self, timeout=None):
        self.seen.append("join")
        super().join(timeout)

worker = Worker(target=print, args=("ran",), name="w", daemon=True)
print(worker, worker.is_alive(), worker.ident)
worker.start()
worker.join()
worker.name = 7
print(worker.name, worker.getName() if False else "", worker.seen, worker.is_alive(), worker.daemon, worker.ident > 0)
for make in (threading.Event, threading.Semaphore, threading.Condition, threading.Barrier):
    show_failure(make, 1, 2, 3, 4, 5)
print(threading.active_count(), [t.name for t in threading.enumerate()])
""",
    )


def test_pickles_and_copies_are_the_same(record, plain):
    """What cannot be pickled says so as it does; a copy that works still works."""
    same_in_both(
        record,
        plain,
        SHOW_FAILURE
        + """
import copy, pickle, queue, threading
from concurrent.futures import Future

class Kept:
    def __init__(self):
        self.lock = threading.Lock()
        self.items = [1]
    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "lock"}
    def __setstate__(self, state):
        vars(self).update(state, lock=threading.Lock())

def failure(function, *arguments):
    try:
        print(function(*arguments))
    except Exception as error:
        print(type(error), error)

for thing in (threading.Lock(), threading.RLock(), threading.Condition(), threading.Event(), threading.Semaphore(),
              threading.Thread(), queue.Queue(), queue.SimpleQueue(), Future()):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        failure(pickle.dumps, thing, protocol)
    failure(copy.deepcopy, thing)
print(pickle.loads(pickle.dumps(Kept())).items, pickle.loads(pickle.dumps(threading.Lock)) is threading.Lock)
print(pickle.loads(pickle.dumps(queue.SimpleQueue)) is queue.SimpleQueue)

condition = threading.Condition()
with condition:
    condition.notify()
copied = copy.copy(condition)
with copied:
    print(copied.wait(0.01), copied._lock is condition._lock)
thread = threading.Thread(target=print)
thread.start()
thread.join()
state = {name: value for name, value in vars(condition).items() if name not in ("_lock", "acquire", "release")}
print([pickle.loads(pickle.dumps(value)) for name, value in state.items() if name == "clew"] in ([], [None]))
print([pickle.loads(pickle.dumps(value)) for name, value in vars(thread).items() if name == "clew"] in ([], [None]))
""",
    )


def test_locks_behave_the_same(record, plain):
    """Results, ``locked()``, conditions on them, recursion, release by another thread."""
    same_in_both(
        record,
        plain,
        """
import threading, time

lock, rlock = threading.Lock(), threading.RLock()
for each in (lock, rlock):
    with each as got:
        print(got)
    print(each.acquire(), each.release(), each.acquire(1), each.release(), each.acquire(True, -1), each.release())
    print(each.acquire(timeout=0.5), each.release(), each.acquire(blocking=False), each.release(), each.acquire(0))
    each.release()
    print(each.__enter__(), each.__exit__(None, None, None))
lock.acquire()
print(lock.locked(), lock.acquire(False), lock.acquire(timeout=0.01))
thread = threading.Thread(target=lock.release)
thread.start()
thread.join()
print(lock.locked())
print(rlock._is_owned(), [rlock.acquire() for _ in range(3)], rlock._is_owned(), rlock._recursion_count()
      if hasattr(rlock, "_recursion_count") else 3)
condition = threading.Condition(rlock)
with condition:
    print(condition.wait(0.01), [rlock.release() for _ in range(3)])
print(rlock.acquire(), rlock.release())

for shared in (threading.Lock(), threading.RLock()):
    condition = threading.Condition(shared)
    done = []

    def wait():
        with condition:
            print(condition.wait_for(lambda: done, timeout=60))

    waiters = [threading.Thread(target=wait) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    with shared:
        done.append(1)
        condition.notify_all()
    for waiter in waiters:
        waiter.join()

total = 0

def count():
    global total
    for _ in range(2000):
        with lock:
            before = total
            if _ % 100 == 0:
                time.sleep(0)
            total = before + 1

threads = [threading.Thread(target=count) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total)
""",
    )


def test_what_the_program_deletes_is_gone(record, plain):
    """Finding the name of a thing keeps no variable of the functions that use it alive."""
    same_in_both(
        record,
        plain,
        """
import queue, sys, threading, weakref
from concurrent.futures import Future, ThreadPoolExecutor

class Item:
    pass

def main():
    for make in (threading.Lock, threading.RLock, threading.Condition, threading.Semaphore):
        item, lock = Item(), make()
        references = [weakref.ref(item)]
        with lock:
            pass
        item = lock = None
        print([reference() for reference in references])
    pool = ThreadPoolExecutor(1)
    items, event, future = queue.Queue(), threading.Event(), Future()
    references = [weakref.ref(each) for each in (pool, items, event, future)]
    print(pool.submit(int).result(), items.put(1), event.set(), future.cancel())
    threads = list(pool._threads)
    items = event = future = None
    del pool
    for thread in threads:
        thread.join()
    print([reference() for reference in references])

main()

def traced():
    value, lock = 1, threading.Lock()
    with lock:
        value += 1
    print(value)

sys.settrace(lambda frame, event, arg: None)
traced()
sys.settrace(None)
""",
    )


def test_a_forked_child_may_use_what_its_parent_held(record, plain):
    """Other threads hold locks, wait in queues and pools at the fork; the child works on."""
    same_in_both(
        record,
        plain,
        """
import os, queue, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor

warnings.simplefilter("ignore")
lock, rlock, gate, items = threading.Lock(), threading.RLock(), threading.Event(), queue.Queue()
held = threading.Barrier(2)

def hold():
    with lock, rlock:
        held.wait()
        gate.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()
getter = threading.Thread(target=items.get)
getter.start()
pool = ThreadPoolExecutor(1)
pool.submit(int).result()
pid = os.fork()
if not pid:
    print("child", lock.locked(), lock.acquire(False), rlock.acquire(False), threading.active_count())
    own, mine = threading.Lock(), queue.Queue()
    with own:
        thread = threading.Thread(target=mine.put, args=(7,))
        thread.start()
        print(mine.get())
        thread.join()
    with ThreadPoolExecutor(1) as fresh:
        print(fresh.submit(int, "5").result())
    gate.set()
    print(gate.wait())
    sys.stdout.flush()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
gate.set()
items.put(1)
holder.join()
getter.join()
pool.shutdown()
print("parent", lock.locked(), rlock.acquire(False))
""",
    )


def test_threads_in_a_program_that_ends_badly(record, plain):
    """An uncaught exception, with threads to wait for and jobs to finish: as without clew."""
    program = """
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor

atexit.register(print, "atexit")
pool = ThreadPoolExecutor(1)
gate = threading.Event()
pool.submit(lambda: (gate.wait(), print("job")))
threading.Thread(target=lambda: (print("thread"), gate.set())).start()
with threading.Lock():
    1 / 0
"""
    done, expected = record(program, options=("--quiet",)), plain(program)

    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)
    assert done.returncode == 1
    assert done.problems == {}
