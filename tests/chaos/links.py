"""The network between the parts, and how it goes bad: a TCP proxy in a process of its own.

In user space, because netem is not in every kernel, and in a few lines of asyncio, because neither Debian nor npm
has a proxy that delays. What TCP makes of a lost packet is what a lost chunk does here: it and all behind it
come late, by a retransmission timeout. The process obeys lines of JSON on its standard input, which also name
what it listens for, and ends with it.
"""

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys

RTO = 0.2                               # Linux retransmits after that, and after twice that …
CHUNK = 65536
QUEUE = 16                              # chunks under way in a direction; more wait in the kernel


class Link:
    """A port of ours and the unix socket behind it."""

    def __init__(self, path):
        self.path = path
        self.delay = self.jitter = self.loss = 0.0
        self.transports = set()
        self.open = asyncio.Event()
        self.open.set()

    def set(self, delay=0.0, jitter=0.0, loss=0.0, closed=False, cut=False):
        self.delay, self.jitter, self.loss = delay, jitter, loss
        self.open.clear() if closed else self.open.set()
        for transport in list(self.transports) if cut else []:
            reset(transport)

    def lateness(self):
        """Seconds the next chunk takes."""
        late, rto = self.delay + random.uniform(0, self.jitter), RTO
        while self.loss and random.random() < self.loss and rto < 2:
            late, rto = late + rto, 2 * rto
        return late

    async def serve(self, reader, writer):
        await self.open.wait()
        try:
            there, to_there = await asyncio.open_unix_connection(self.path)
        except OSError:
            reset(writer.transport)     # as a port nobody listens on
            return
        ends = {writer.transport, to_there.transport}
        self.transports |= ends
        up, down = asyncio.Queue(QUEUE), asyncio.Queue(QUEUE)
        work = [asyncio.ensure_future(w) for w in (self.take(reader, up), self.give(up, to_there),
                                                   self.take(there, down), self.give(down, writer))]
        await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
        for task in work:
            task.cancel()
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        self.transports -= ends
        for transport in ends:
            reset(transport) if any(outcomes) else transport.close()

    async def take(self, reader, under_way):
        """Each chunk with the time it may come out; in order, so none before the one ahead of it."""
        due = 0
        while data := await reader.read(CHUNK):
            due = max(due, asyncio.get_running_loop().time() + self.lateness())
            await under_way.put((due, data))
        await under_way.put(None)

    async def give(self, under_way, writer):
        while item := await under_way.get():
            due, data = item
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self.open.wait()
            writer.write(data)
            await writer.drain()
        await self.open.wait()
        writer.write_eof()


def reset(transport):
    """End a connection with RST: what is under way is lost."""
    sock = transport.get_extra_info("socket")
    if sock and sock.fileno() >= 0 and sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def main():
    """{"name": [port, path], …} first; then {"name": …, what Link.set takes} as often as needed."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    links = {}
    for name, (port, path) in json.loads(await commands.readline()).items():
        links[name] = Link(path)
        await asyncio.start_server(links[name].serve, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    while line := await commands.readline():
        order = json.loads(line)
        links[order.pop("name")].set(**order)
        print("done", flush=True)


class Links:
    """The process, from outside: a context. ports: {name: port}, paths: {name: path of a unix socket}."""

    def __init__(self, ports, paths):
        self.names = sorted(ports)
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say({name: [ports[name], paths[name]] for name in ports})

    def _say(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline(), "the proxy died"

    def set(self, name, **how):
        """Make a link as bad as `how` says; nothing heals it."""
        self._say({"name": name, **how})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)


if __name__ == "__main__":
    asyncio.run(main())
