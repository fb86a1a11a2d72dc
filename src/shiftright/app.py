"""The only place where interfaces meet implementations: a project's settings and its records, opened when needed."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from functools import partial
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from shiftright.core.loopback import is_loopback
from shiftright.errors import StoreError, StoreInUse, UsageError
from shiftright.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shiftright import gateway
    from shiftright.core.trace import Erasable, SpanRow
    from shiftright.evals.options import EvalRun, Look, Options, Progress, Selection
    from shiftright.evals.planning import FeaturePlan
    from shiftright.evals.report.gather import RunReport
    from shiftright.gateway import Access
    from shiftright.monitor.board import Board
    from shiftright.monitor.erasing import Erased
    from shiftright.ship.diff.findings import ModelDiff
    from shiftright.ship.diff.running import Asked, Prepared
    from shiftright.ship.gate import Gate
    from shiftright.store import Records
    from shiftright.store.intake import Intake
    from shiftright.store.telemetry import TelemetryStore, TraceReader
    from shiftright.tracing.redaction import Redaction
    from shiftright.web.site import Watch

Result = TypeVar("Result")


class Served(msgspec.Struct, frozen=True):
    """A server that answers: where, the key that opens it (None: none is asked for), and its process."""

    url: str
    key: str | None
    pid: int


class App:
    """One project: what a command, a page or a notebook works on. A context manager; leaving it closes the records."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._records: Records | None = None

    @classmethod
    def here(cls, start: Path | None = None) -> App:
        """The project around ``start`` (default: the current folder)."""
        return cls(Settings.load(start))

    @property
    def records(self) -> Records:
        """The project's records; made when there are none yet."""
        if self._records is None:
            from shiftright.store import open_records

            self._records = open_records(self.settings.records_url)
        return self._records

    @property
    def has_records(self) -> bool:
        """Is there something to read? Records behind a server's URL count as there."""
        url = self.settings.records_url
        return (
            not url.startswith("sqlite:///")
            or Path(url.removeprefix("sqlite:///").partition("?")[0]).exists()
        )

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._records is not None:
            self._records.close()
            self._records = None

    async def evaluate(
        self, feature: str, options: Options | None = None, progress: Progress | None = None
    ) -> EvalRun:
        """See ``evals.evaluate.evaluate``."""
        from shiftright.evals.evaluate import evaluate

        return await evaluate(feature, self.settings, self.records, options, progress)

    async def look(
        self,
        feature: str,
        selection: Selection,
        options: Options | None = None,
        progress: Progress | None = None,
    ) -> Look:
        """See ``evals.looks.look``."""
        from shiftright.evals.looks import look

        return await look(feature, self.settings, self.records, selection, options, progress)

    async def plan(
        self, feature: str, options: Options | None = None, progress: Progress | None = None
    ) -> FeaturePlan:
        """See ``evals.planning.plan_feature``."""
        from shiftright.evals.planning import plan_feature

        return await plan_feature(feature, self.settings, self.records, options, progress)

    async def serve(
        self,
        host: str,
        port: int,
        ready: Callable[[Served], None],
        ending: asyncio.Event | None = None,
    ) -> None:
        """Gateway, trace intake, API and pages in this process, until SIGTERM or SIGINT.

        Args:
            port: 0 takes a free one.
            ready: called once requests are answered.
            ending: ends it when set, instead of the two signals.

        Raises:
            UsageError: the address cannot be had, or is reached from elsewhere and nothing asks for a key.
            SpecError: ``shiftright.yaml`` cannot be read.
            StoreError: records cannot be opened, or another process owns the telemetry.
        """
        from shiftright import gateway
        from shiftright.gateway.serving import bind, ended_by_signals, published, serve
        from shiftright.improve import tokens
        from shiftright.store.intake import Intake
        from shiftright.tracing.redaction import Redaction, kinds_of_project
        from shiftright.web.site import Watch

        settings, records = self.settings, self.records
        access = self._access(host)
        router = gateway.Router(settings.root, gateway.configure(settings.root, os.environ))
        sock = bind(host, port)
        telemetry = _telemetry(settings.telemetry_url)
        redaction = Redaction(kinds_of_project(settings.root), _names_key(settings))
        intake = Intake(telemetry, prepare=_prepare(redaction))
        rollouts = gateway.Rollouts(router, records, settings.home)
        watch = Watch(unrecorded=lambda: rollouts.dropped)
        control = partial(self._pages, telemetry, intake, redaction, watch)
        plane = gateway.Gateway(router, access, rollouts, intake, control, tokens.secret(settings), redaction)
        try:
            with sock, published(settings.home, sock, host) as url:
                served = Served(url, settings.key, os.getpid())
                beside = self._beside(telemetry, intake, redaction, watch, rollouts)
                await serve(plane, sock, lambda: ready(served), ending or ended_by_signals())
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
        finally:
            intake.close()
            telemetry.close()

    def _beside(
        self,
        telemetry: TelemetryStore,
        intake: Intake,
        redaction: Redaction,
        watch: Watch,
        rollouts: gateway.Rollouts,
    ) -> tuple[asyncio.Task[None], ...]:
        """What goes on while requests are answered."""
        from shiftright.gateway.ingest import keep_taking
        from shiftright.monitor.channels import channels
        from shiftright.monitor.retention import keep_pruning
        from shiftright.monitor.telling import Telling, keep_telling
        from shiftright.ship.ticking import Ticker, keep_ticking
        from shiftright.store.spool import Spool
        from shiftright.tracing.handover import SPOOL_FOLDER

        settings, records = self.settings, self.records
        telling = Telling(records, channels(settings.root, os.environ))
        work = (
            keep_taking(Spool(settings.home / SPOOL_FOLDER), intake),
            _keep_watching(settings, records, telemetry, intake, redaction, watch),
            keep_pruning(settings.root, telemetry, records),
            keep_ticking(Ticker(records, telemetry.trace), rollouts.exchange),
            keep_telling(telling),
        )
        return tuple(asyncio.create_task(each) for each in work)

    def erase(self, what: Erasable, name: str) -> Erased:
        """See ``monitor.erasing.erase``; where no server owns the telemetry. What waits for one is taken in first.

        Raises:
            StoreError: the telemetry cannot be opened or written, or another process owns it.
        """
        from shiftright.gateway.ingest import take_in
        from shiftright.monitor.erasing import erase
        from shiftright.store.intake import Intake
        from shiftright.store.spool import Spool
        from shiftright.store.telemetry import open_telemetry
        from shiftright.tracing.handover import SPOOL_FOLDER
        from shiftright.tracing.redaction import Redaction, kinds_of_project

        redaction = Redaction(kinds_of_project(self.settings.root), _names_key(self.settings))
        telemetry = open_telemetry(self.settings.telemetry_url)
        try:
            intake = Intake(telemetry, prepare=_prepare(redaction))
            try:
                take_in(Spool(self.settings.home / SPOOL_FOLDER), intake)
            finally:
                intake.close()
            names = (name,) if what == "trace" else (name, redaction.who(name))
            return erase(telemetry, self.records, what, names)
        finally:
            telemetry.close()

    def await_spool(self, longest_s: float = 10.0) -> None:
        """Return when the server has taken in what other processes left for it.

        Raises:
            StoreError: it has not, in this time.
        """
        from shiftright.store.spool import Spool
        from shiftright.tracing.handover import SPOOL_FOLDER

        spool = Spool(self.settings.home / SPOOL_FOLDER)
        until = time.monotonic() + longest_s
        while any(spool.waiting()):
            if time.monotonic() > until:
                raise StoreError(
                    "spans wait for the server, and it does not take them in",
                    file=spool.folder,
                    hint="Its log says why.",
                )
            time.sleep(0.05)

    def _pages(
        self, telemetry: TelemetryStore, intake: Intake, redaction: Redaction, watch: Watch
    ) -> FastAPI:
        from shiftright.web.application import application
        from shiftright.web.site import Site

        return application(
            Site(self.settings, self.records, telemetry, intake, self.settings.key, redaction, watch)
        )

    def _access(self, host: str) -> Access:
        from shiftright import gateway

        if self.settings.key is None and not is_loopback(host):
            raise UsageError(
                f"{host} is reached from other machines, and nothing asks them for a key",
                hint="Set SHIFTRIGHT_KEY: it opens the pages and the API. Keys for applications, which open neither: "
                "shiftright key create NAME",
            )
        return gateway.Access(self.records, self.settings.key)

    async def gate(
        self,
        *,
        base: str | None = None,
        only: Path | None = None,
        sign_off: str | None = None,
        options: Options | None = None,
        progress: Progress | None = None,
    ) -> Gate:
        """See ``ship.gate.gate``. Where nothing is touched no records are made."""
        from shiftright.ship.gate import gate

        return await gate(
            self.settings,
            lambda: self.records,
            base=base,
            only=only,
            sign_off=sign_off,
            options=options,
            progress=progress,
        )

    async def record(self, gate: Gate) -> list[tuple[Path, int]]:
        """See ``ship.recordings.record``: for every eval of the gate."""
        from shiftright.ship.recordings import record

        evals = [(f, v) for f in gate.features for v in f.variants if v.run_id is not None]
        return [
            await record(
                f.feature, self.settings, self.records, variant=v.variant, before=v.before, base=gate.base
            )
            for f, v in evals
        ]

    def prepare_diff(self, asked: Asked, telemetry: TraceReader | None, options: Options) -> Prepared:
        """See ``ship.diff.running.prepare``."""
        from shiftright.ship.diff.running import prepare

        return prepare(asked, self.settings, self.records, telemetry, options)

    async def diff(
        self, prepared: Prepared, options: Options | None = None, progress: Progress | None = None
    ) -> ModelDiff:
        """See ``ship.diff.running.run``."""
        from shiftright.evals.options import Options
        from shiftright.ship.diff.running import run

        return await run(prepared, self.records, options or Options(), progress)

    def report(self, run_id: str) -> RunReport:
        """See ``evals.report.gather.gather``."""
        from shiftright.evals.report.gather import gather

        return gather(run_id, self.settings, self.records)


def _prepare(redaction: Redaction) -> Callable[[Sequence[SpanRow]], None]:
    """What is done to spans before they are stored."""
    from shiftright.tracing.counting import Repeats

    repeats = Repeats()

    def prepare(spans: Sequence[SpanRow]) -> None:
        repeats.settle(spans)
        redaction.prepare(spans)

    return prepare


def _names_key(settings: Settings) -> bytes | None:
    """What the hashes of addresses in names of users are made with; None where nothing can be kept anyway."""
    from shiftright.store.secret import kept_secret

    try:
        return kept_secret(settings.home / "names.key")
    except StoreError as error:
        logging.getLogger("shiftright.telemetry").warning(
            "names of users that are addresses cannot be told apart over restarts: %s", error
        )
        return None


def _telemetry(url: str) -> TelemetryStore:
    """The store; where it cannot be written, one that says so: users are answered all the same.

    Raises:
        StoreInUse: another process owns it, most likely a server of this project.
    """
    from shiftright.store.telemetry import open_telemetry
    from shiftright.store.unopened import UnopenedTelemetry

    try:
        return open_telemetry(url)
    except StoreInUse:
        raise
    except StoreError as error:
        logging.getLogger("shiftright.telemetry").error(
            "No traces are kept, and no live checks run, until this is mended and serve started again: %s",
            error,
        )
        return UnopenedTelemetry(error)


async def _keep_watching(
    settings: Settings,
    records: Records,
    telemetry: TelemetryStore,
    intake: Intake,
    redaction: Redaction,
    watch: Watch,
) -> None:
    """Score and export live traffic until cancelled. Scorers are imported on a thread, once requests are answered."""
    from shiftright.tracing.export import exporter

    def begun() -> Any:
        from shiftright.monitor.watching import Monitor
        from shiftright.tracing.redaction import kinds_of_project

        def follow(_: object) -> None:
            redaction.use(kinds_of_project(settings.root))

        def report(board: Board) -> None:
            assert exported is not None
            for window in board.windows:
                exported.report(board.feature, window.name, window.rows)

        told = None if exported is None else report
        monitor = Monitor(settings, records, telemetry, contracts_changed=follow, reported=told)
        monitor.start()
        return monitor

    watch.exporter = exported = exporter(os.environ)
    if exported is not None:
        intake.listen(exported.offer)
    watch.monitor = monitor = await asyncio.to_thread(begun)
    intake.listen(monitor.listen)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(monitor.close)
        if exported is not None:
            await asyncio.to_thread(exported.close)


def evaluate(
    feature: str,
    *,
    variant: str | None = None,
    baseline: str | None = None,
    max_calls: int | None = None,
    max_cost_usd: float | None = None,
    repeats: int = 1,
    new_decision: bool = False,
    suite_mode: bool = False,
    concurrency: int | None = None,
    start: Path | None = None,
) -> EvalRun:
    """Decide whether a variant may merge and be released: ``shiftright eval`` as a function.

    Waits for the end, also in a notebook, where a loop is running already. ``start`` is a folder of the project
    (default: the current one).

    Raises:
        Error: what keeps the run from going on; calling again goes on from there.
    """
    from shiftright.evals.options import Options

    options = Options.of(locals())
    with App.here(start) as app:
        return wait(app.evaluate(feature, options))


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, from plain code; where a loop is running in this thread, in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    results: list[Result] = []
    errors: list[BaseException] = []

    async def begun() -> Result:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        return await work

    def run() -> None:
        try:
            results.append(asyncio.run(begun()))
        except BaseException as error:  # noqa: BLE001  raised in the caller's thread below
            errors.append(error)

    thread = Thread(target=copy_context().run, args=(run,), name="shiftright-wait")
    thread.start()
    try:
        thread.join()
    except BaseException:
        # interrupted: end the work as Ctrl-C would, so that what it has is written down
        for loop, task in running:
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if errors:
        raise errors[0]
    return results[0]
