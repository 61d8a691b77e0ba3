"""Everything python3 has for doing things at once."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading


def square(number):
    return number * number


def threads():
    work, done = queue.Queue(), []
    lock, local = threading.Lock(), threading.local()

    def worker():
        local.count = 0
        while (item := work.get()) is not None:
            with lock:
                done.append(square(item))
            local.count += 1
            work.task_done()

    started = [threading.Thread(target=worker) for _ in range(4)]
    for thread in started:
        thread.start()
    for number in range(200):
        work.put(number)
    work.join()
    for _ in started:
        work.put(None)
    for thread in started:
        thread.join()
    event, barrier = threading.Event(), threading.Barrier(3)
    threading.Timer(0.01, event.set).start()
    met = [threading.Thread(target=barrier.wait) for _ in range(2)]
    for thread in met:
        thread.start()
    barrier.wait()
    print("threads", sum(done), event.wait(5), threading.active_count() <= 4)


async def coroutines():
    async def one(number):
        await asyncio.sleep(number % 3 / 1000)
        return number

    print("gather", sum(await asyncio.gather(*(one(number) for number in range(100)))))
    child = await asyncio.create_subprocess_exec(
        "/bin/cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    print("child", await child.communicate(b"through cat"), child.returncode)
    loop = asyncio.get_running_loop()
    print("executor", await loop.run_in_executor(None, square, 12))
    caught = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, lambda: caught.done() or caught.set_result("signal"))
    os.kill(os.getpid(), signal.SIGUSR1)
    print(await caught)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except TimeoutError:
        print("timed out")


def processes():
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            print(method, pool.map(square, range(10)))
        ours, theirs = context.Pipe()
        child = context.Process(target=theirs.send, args=({"from": method},))
        child.start()
        print(ours.recv())
        child.join()
        print(child.exitcode)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("pool", list(pool.map(square, range(6))))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("pool", sorted(future.result() for future in [pool.submit(square, n) for n in range(6)]))


if __name__ == "__main__":
    threads()
    asyncio.run(coroutines())
    processes()
    done = subprocess.run(["/bin/sh", "-c", "cat; echo error >&2; exit 4"], input=b"in", capture_output=True)
    print(done.stdout, done.stderr, done.returncode)
    sys.exit(5)
