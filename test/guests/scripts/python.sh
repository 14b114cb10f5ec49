#!/bin/sh
# Python: integers of any size, floats against their exact values, hashes of its own, processes, threads and signals.
cat >/tmp/t.py <<'END'
import math, os, signal, struct, sys, time, zlib, _thread

failures = 0


def check(name, want, got):
    global failures
    if want == got:
        print("PASS: " + name)
    else:
        print("FAIL: %s: expected %r, got %r" % (name, want, got))
        failures += 1


check("power", 1267650600228229401496703205376, 2**100)
check("factorial", 10888869450418352160768000000, math.factorial(27))
a, b = 3**300, 7**150
check("long division", (a // b) * b + a % b, a)
check("modular power", 1, pow(2, 10006, 10007))
check("greatest common divisor", 2**10, math.gcd(2**10 * 3**5, 2**20 * 5**7))
check("shortest decimal", "0.1 1e+16 5e-324", "%r %r %r" % (0.1, 1e16, 5e-324))
check("float to hexadecimal", "0x1.921fb54442d18p+1", math.pi.hex())
check("functions", ["0x1.6a09e667f3bcdp+0", "0x1.5bf0a8b145769p+1"], [math.sqrt(2).hex(), math.exp(1).hex()])
check("sine and cosine", ("0.841470984808", "0.540302305868"), ("%.12f" % math.sin(1), "%.12f" % math.cos(1)))
check("exact sum", 1.0, math.fsum([0.1] * 10))
check("special values", (True, True, "-0.0"), (math.isinf(1e308 * 10), math.isnan(math.inf - math.inf), repr(-0.0)))
check("round half to even", [0, 2, 2, -2], [round(0.5), round(1.5), round(2.5), round(-1.5)])
check("division and remainder", (-4, 1, -3.5), (-7 // 2, -7 % 2, -7 / 2))
check("float to integer", [-3, 4, 10**22], [int(-3.99), math.ceil(3.01), int(1e22)])
check("struct", (1.5, -2, 65535), struct.unpack("<dhH", struct.pack("<dhH", 1.5, -2, 65535)))
check("crc32 and adler32", (0xCBF43926, 0x091E01DE), (zlib.crc32(b"123456789"), zlib.adler32(b"123456789")))
import _md5, _sha256

check("md5", "900150983cd24fb0d6963f7d28e17f72", _md5.md5(b"abc").hexdigest())
check("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", _sha256.sha256(b"abc").hexdigest())
data = bytes(i * i % 251 for i in range(100000))
check("zlib and back", data, zlib.decompress(zlib.compress(data, 6)))
numbers = [(i * 7919 + 13) % 10007 for i in range(10007)]
check("sort", list(range(10007)), sorted(numbers))
check("dictionary", 10007, len({n: str(n) for n in numbers}))


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


check("recursion", 10946, fib(21))
check("generator", 333283335000, sum(x * x for x in range(10000) if True) + 0)
check("comprehension", 2500, len([1 for x in range(100) for y in range(100) if (x + y) % 4 == 0]))
check("unicode", ("GRÜSSE", b"\xe2\x82\xac"), ("grüße".upper(), "€".encode()))
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(w, b"from the child")
    os._exit(9)
check("fork and pipe", b"from the child", os.read(r, 100))
check("exit status", 9, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
caught = []
signal.signal(signal.SIGALRM, lambda number, frame: caught.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
check("interval timer", [signal.SIGALRM], caught)
locks, total = [], [0] * 4


def count(n, lock):
    for i in range(5000):
        total[n] += i
    lock.release()


for n in range(4):
    lock = _thread.allocate_lock()
    lock.acquire()
    locks.append(lock)
    _thread.start_new_thread(count, (n, lock))
for lock in locks:
    lock.acquire()
check("threads", [12497500] * 4, total)
t = time.monotonic()
time.sleep(0.5)
check("sleep", True, 0.49 < time.monotonic() - t < 0.7)
sys.exit(1 if failures else 0)
END
python3 /tmp/t.py
