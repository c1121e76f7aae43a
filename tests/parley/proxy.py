"""A PostgreSQL behind a wire that can go wrong: a unix socket that forwards to a cluster's."""

import os
import selectors
import socket
import threading

from .stack import state_directory


class Proxy:
    """silent: nothing passes and nothing is closed, as when a cable is pulled or a host stands still.
    held: the server's end of a connection is not passed on, as when it is still under way."""

    def __init__(self, cluster):
        self.target = str(cluster.dir / ".s.PGSQL.5432")
        self.cluster = cluster
        self.dir = state_directory()
        self.silent = self.held = False
        self.withheld = 0               # ends of connections that were held
        self.selector = selectors.DefaultSelector()
        self.pairs = {}
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(self.dir / ".s.PGSQL.5432"))
        os.chmod(self.dir / ".s.PGSQL.5432", 0o777)
        self.door.listen(200)
        self.selector.register(self.door, selectors.EVENT_READ)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def url(self, dbname):
        return self.cluster.url(dbname).replace(str(self.cluster.dir), str(self.dir))

    def _run(self):
        while not self.ended.is_set():
            if self.silent:
                self.ended.wait(0.02)
                continue
            for key, _ in self.selector.select(0.05):
                if self.silent:
                    break
                if key.fileobj is self.door:
                    self._accept()
                elif key.fileobj in self.pairs:
                    self._pass_on(key.fileobj)

    def _accept(self):
        client, _ = self.door.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            return
        for one, other, of_server in ((client, server, False), (server, client, True)):
            self.pairs[one] = (other, of_server)
            self.selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, sock):
        other, of_server = self.pairs[sock]
        try:
            data = sock.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        if of_server and self.held:
            self.selector.unregister(sock)
            self.withheld += 1
            return
        for one in (sock, other):
            if self.pairs.pop(one, None):
                try:
                    self.selector.unregister(one)
                except KeyError:
                    pass                # held before
                one.close()

    def close(self):
        self.ended.set()
        self.thread.join(5)
        for sock in (self.door, *self.pairs):
            sock.close()
        os.unlink(self.dir / ".s.PGSQL.5432")
        os.rmdir(self.dir)
