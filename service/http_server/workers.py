"""Several server processes on one socket, and the parent process that starts them again, replaces and ends them.

uvicorn's parent ends all workers if a replacement cannot start, waits for no signal while it replaces workers, and
leaves its workers behind if it is killed. Its workers and its signals are used as they are.
"""

import os
import signal
import socket
import time
from functools import cached_property

import structlog
import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.http_server.connections import drain_slowly
from service.http_server.server import DrainingServer
from service.http_server.systemd import Watchdog, notify

_START_SECONDS = 120.0  # in which a worker has to begin serving
_PAUSE_SECONDS = 5.0  # between two attempts to replace a worker, if the last one could not start
_TICK_SECONDS = 0.1
_RETIRE = signal.SIGUSR1  # to a worker: others have taken its place

_log = structlog.get_logger()


class Worker(Process):
    """A server process that ends with its parent, however that ends."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.is_serving = False
        self._deadline = time.monotonic() + _START_SECONDS
        self._asked = False

    @cached_property
    def server(self) -> uvicorn.Server:
        """The server, in the worker's process."""
        return DrainingServer(self.config)

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the worker's process."""
        self.parent_conn.close()  # now only the parent holds this end, so that reading tells when the parent is gone
        signal.signal(_RETIRE, self._end_slowly)
        super().target(sockets)

    def _end_slowly(self, *_: object) -> None:
        drain_slowly()
        self.server.handle_exit(signal.SIGTERM, None)

    def retire(self) -> None:
        """Ask the worker to end without haste."""
        assert self.process.pid is not None, "it was started"
        os.kill(self.process.pid, _RETIRE)

    def always_pong(self) -> None:
        """Answer the parent until it closes the connection or is gone, then end as after SIGTERM."""
        try:
            super().always_pong()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)

    def is_well(self) -> bool:
        """Return whether the worker serves, or may still begin to. Waits only for one that serves."""
        if self.is_serving:
            return self.is_alive()
        self.is_serving = self._has_begun()
        return self.process.is_alive() and (self.is_serving or time.monotonic() < self._deadline)

    def _has_begun(self) -> bool:
        """Return whether the worker says that it serves. One question at a time: a process that loads answers none."""
        try:
            if not self._asked:
                self.parent_conn.send(b"ping")
                self._asked = True
            if not self.parent_conn.poll():
                return False
            self._asked = False
            return bool(self.parent_conn.recv())
        except (OSError, EOFError):
            return False


class Workers(Multiprocess):
    """The parent. It ends only if it is asked to, or if no worker could begin to serve at the start."""

    processes: list[Worker]  # type: ignore[assignment]  # uvicorn makes its own kind

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.has_failed = False
        self._ending: list[Worker] = []
        self._has_served = False  # any worker
        self._is_ready = False  # all workers, for the first time
        self._next_attempt = 0.0
        self._watchdog = Watchdog()

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def run(self) -> None:
        """Keep the workers running until a signal asks to end. `has_failed` says whether it ended for another reason."""
        self.init_processes()
        while not self.should_exit.wait(_TICK_SECONDS):
            self.handle_signals()
            self.keep_subprocess_alive()
            self._look_after()
        notify("STOPPING=1")
        self.terminate_all()
        for worker in (*self.processes, *self._ending):
            worker.process.join()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have ended or do not answer."""
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set() or worker.is_well() or time.monotonic() < self._next_attempt:
                continue
            was_killed = (
                worker.process.exitcode is not None and worker.process.exitcode < 0
            )  # not for a fault of its own
            worker.kill()
            worker.process.join()
            if not self._has_served and not was_killed:
                self.has_failed = True
                self.should_exit.set()
                return
            _log.error("worker_ended", pid=worker.pid, status=worker.exitcode)
            if not worker.is_serving:
                self._next_attempt = time.monotonic() + _PAUSE_SECONDS
            self.processes[index] = self._start()

    def restart_all(self) -> None:
        """Replace each worker after its replacement serves. If one cannot begin, the others stay as they are."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        for index, old in enumerate(self.processes):
            new = self._start()
            while new.is_well() and not new.is_serving and not self._is_asked_to_end():
                time.sleep(_TICK_SECONDS)
                self._watchdog.ping()
            if not new.is_serving:
                new.kill()
                new.process.join()
                _log.error("reload_failed", pid=new.pid, status=new.exitcode)
                break
            self.processes[index] = new
            old.retire()
            self._ending.append(old)
        else:
            _log.info("workers_reloaded", count=len(self.processes))
        notify("READY=1")

    def handle_ttin(self) -> None:
        """Start one more worker."""
        self.processes_num += 1
        self.processes.append(self._start())

    def _start(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def _is_asked_to_end(self) -> bool:
        return signal.SIGTERM in self.signal_queue or signal.SIGINT in self.signal_queue

    def _look_after(self) -> None:
        """Say once that all workers serve, forget those that have ended after a reload, and give a sign of life."""
        serving = [worker.is_serving for worker in self.processes]
        self._has_served = self._has_served or any(serving)
        if not self._is_ready and all(serving):
            self._is_ready = True
            notify("READY=1", "STATUS=Serving")
        self._ending = [worker for worker in self._ending if worker.process.is_alive()]
        self._watchdog.ping()
