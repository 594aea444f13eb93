"""The part of a run that needs the network: ask the hosts, fetch what is missing, link what is there twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from prefetch.adoption import Adoption
from prefetch.blockfile import Digests
from prefetch.candidates import Candidate, find, identity_of
from prefetch.errors import BusyError, FormatMismatch, HashMismatch, Interrupted, PrefetchError, SpaceError
from prefetch.leases import Taken
from prefetch.limits import Limits
from prefetch.nearby import Nearby, cache_places
from prefetch.net.client import open_session
from prefetch.placing import Placed, Placing, Ready
from prefetch.plan import Link, Plan, make_plan
from prefetch.report.events import Claims, DoneStatus, Event, Listener, Notice, Planned, Progress, Space
from prefetch.scores import Scores
from prefetch.sources.resolver import Resolver
from prefetch.survey import Standing, State, contents
from prefetch.transfer.engine import Engine
from prefetch.transfer.flow import Flow
from prefetch.transfer.order import Finished, Order, Outcome
from prefetch.turns import Turns
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.draft import Draft
from prefetch.volume.identity import Identity
from prefetch.volume.incoming import Incoming
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import clear_partials
from prefetch.volume.partial import Partial
from prefetch.volume.rejected import rejected_hash, remember_rejected
from prefetch.volume.space import SpareRoom, check_space, measure
from prefetch.volume.waiting import find_unfinished, freed_bytes, resumable_bytes

__all__ = ["Fetching"]


class Fetching:
    """Brings absent models onto a volume.

    Args:
        refresh: fetch also what was found to have another hash than the wanted one.
        blocks: the block digests that are known, by the SHA-256 of the whole file.
    """

    def __init__(
        self,
        volume: Volume,
        inventory: Inventory,
        *,
        placing: Placing,
        adoption: Adoption,
        limits: Limits,
        refresh: bool,
        blocks: Mapping[str, Digests],
        scores: Scores,
        listener: Listener,
    ) -> None:
        self._volume = volume
        self._inventory = inventory
        self._placing = placing
        self._adoption = adoption
        self._limits = limits
        self._refresh = refresh
        self._blocks = blocks
        self._scores = scores
        self._listener = listener
        self._flow = Flow()
        self._claims = Claims(0, 0)
        self._spare = SpareRoom(None)
        self._placed: dict[str, Placed] = {}
        self._turns = Turns(volume, inventory, patience=limits.patience, listener=listener)
        self._current: dict[str, Candidate] = {}
        self._spent: Counter[str] = Counter()
        self._unlike: list[Candidate] = []
        self._rejected: list[tuple[Identity, str]] = []
        self._copied: Counter[str] = Counter()

    async def fetch(self, absent: Sequence[Standing]) -> None:
        """Bring every one of ``absent`` onto the volume, or have its failure in the scores.

        Raises:
            SpaceError: what is missing does not fit.
        """
        limits = self._limits
        async with open_session(
            connections=limits.connections, allow_private=limits.allow_private, bounds=limits.host
        ) as session:
            nearby = Nearby(cache_places(os.environ, self._volume.root))
            resolver = Resolver.from_environment(session)
            rejected = None if self._refresh else partial(rejected_hash, self._volume)
            found = await find(absent, resolver, listener=self._listener, nearby=nearby, rejected=rejected)
            candidates = [candidate for candidate in found.values() if isinstance(candidate, Candidate)]
            for path, error in found.items():
                if isinstance(error, PrefetchError):
                    self._scores.failed(path, error)
            plan = await self._plan(candidates)
            if plan.fetch or plan.link:
                # What the hosts say may show that all is there, for which nothing has to be written.
                self._volume.check_state()
            await self._bring(plan)

    def _leave_out(self, candidates: Iterable[Candidate]) -> None:
        """Begin nothing: every problem of every model has been told, and one is enough."""
        error = PrefetchError("It was not begun, because other models cannot be had and --fail-fast is given.")
        for candidate in candidates:
            model = candidate.standing.model
            self._scores.left(candidate.path, error, size=model.size, sha256=model.sha256)

    async def _plan(self, candidates: Iterable[Candidate]) -> Plan[Candidate]:
        known = [candidate.with_recorded_hash() for candidate in candidates]
        left = [candidate for candidate in known if not await self._is_settled(candidate)]
        for candidate in left:
            self._tell_whole(candidate)
        unfinished = find_unfinished(self._volume)
        resumed = {candidate.path: resumable_bytes(candidate.identity, unfinished) for candidate in left}
        here = {**(contents(self._volume, self._inventory) if left else {}), **self._scores.verified}
        plan = make_plan(left, here=here, resumed=resumed)
        self._listener(Planned(len(plan.fetch), plan.bytes_to_fetch, plan.bytes_resumed, plan.unknown_sizes))
        # With a quota, every file is looked at: seconds on a full network volume.
        room = await asyncio.to_thread(measure, self._volume, quota=self._limits.quota)
        self._listener(Space(room.capacity, room.quota, room.used))
        try:
            check_space(plan.bytes_to_fetch, room.free)
        except SpaceError as error:
            self._do_without_room(plan, error)
            raise
        freed = freed_bytes((candidate.identity for candidate in plan.fetch), unfinished)
        self._spare = SpareRoom(None if room.free is None else room.free - plan.bytes_to_fetch + freed)
        return plan

    def _do_without_room(self, plan: Plan[Candidate], error: SpaceError) -> None:
        """Link what stands here already, which takes no room; leave the rest, with what is known of it."""
        absent = {candidate.path for candidate in plan.fetch}
        for link in plan.link:
            if link.same_as not in absent:
                self._link(link)
        for candidate in (*plan.fetch, *(link.model for link in plan.link)):
            self._scores.left(candidate.path, error, size=candidate.size, sha256=candidate.sha256)

    def _tell_whole(self, candidate: Candidate) -> None:
        """Say beforehand what a damaged model costs of which no block can be kept."""
        record, host = candidate.standing.record, candidate.origins[0].host
        if candidate.standing.state is not State.CHANGED or record is None or candidate.sha256 == record.sha256:
            return
        if candidate.sha256 is None and not candidate.identity.resumable:
            why = f"{host} tells neither its hash nor a strong ETag"
        else:
            why = f"what {host} has by now need not be the file that was verified here"
        text = f"{candidate.path} is not as it was verified, and is fetched whole, not only its damaged blocks: {why}."
        self._listener(Notice("warning", text))

    async def _is_settled(self, candidate: Candidate) -> bool:
        """Whether nothing is left to do for it: it is there, or what is there says that it never can be."""
        try:
            return await self._is_here(candidate)
        except PrefetchError as error:
            self._scores.failed(candidate.path, error, received=self._spent[candidate.path])
            return True

    async def _is_here(self, candidate: Candidate) -> bool:
        """Whether, now that the host told the hash, the file that stands there turns out to be the right one."""
        standing = candidate.standing
        if standing.state is State.PRESENT and standing.record and standing.record.sha256 == candidate.sha256:
            told = standing.record.pinned or candidate.told_sha256 is not None
            present = replace(standing.record, pinned=told)
            self._scores.done("present", present, received=self._spent[candidate.path])
            return True
        adopted = await self._adoption.adopt(standing, candidate.sha256, candidate)
        if adopted is not None:
            self._scores.done("adopted", adopted, received=self._spent[candidate.path])
        return adopted is not None

    async def _bring(self, plan: Plan[Candidate]) -> None:
        """Fetch what is to be fetched, and link what is there then."""
        try:
            while plan.fetch or plan.link:
                if self._limits.fail_fast and not self._scores.all_well:
                    self._leave_out([*plan.fetch, *(link.model for link in plan.link)])
                    break
                await self._take_turns(plan.fetch)
                plan = self._link_all(plan.link)
            await self._turns.end()
        finally:
            self._turns.stop()
            self._tell_claims()

    async def _take_turns(self, wanted: Iterable[Candidate]) -> None:
        """Fetch what nobody has, and then, again and again, what others had and have no more."""
        left = list(wanted)
        while left:
            await self._transfer(left)
            self._tell_claims()
            left = await self._next_turn()

    async def _next_turn(self) -> list[Candidate]:
        if self._unlike:
            unlike, self._unlike = self._unlike, []
            return unlike
        while self._turns.behind and (self._scores.all_well or not self._limits.fail_fast):
            free, given_up = await self._turns.until_free()
            for path, error in given_up.items():
                self._scores.failed(path, error, received=self._spent[path])
            if left := [candidate for candidate in free if not await self._came(candidate)]:
                return left
        for path in self._turns.behind:
            self._scores.failed(path, Taken(path, None), received=self._spent[path])
        return []

    async def _came(self, candidate: Candidate) -> bool:
        """Whether somebody else has placed the model meanwhile."""
        try:
            here = await self._is_here(candidate)
            if not here and (other := self._turns.elsewhere.get(candidate.path)) is not None:
                self._link(Link(candidate, other))
                here = True
            if here:
                clear_partials(self._volume, candidate.identity)
            return here
        except PrefetchError as error:
            self._scores.failed(candidate.path, error, received=self._spent[candidate.path])
            return True

    async def _transfer(self, candidates: list[Candidate]) -> None:
        by_path = {candidate.path: candidate for candidate in candidates}
        self._turns.expect(candidates)
        engine = Engine(
            connections=self._limits.connections,
            memory=self._limits.memory,
            range_size=self._limits.range_size,
            limit_rate=self._limits.limit_rate,
            bounds=self._limits.host,
            flow=self._flow,
            fail_fast=self._limits.fail_fast,
            listener=self._hear,
            place=self._place,
            on_outcome=lambda outcome: self._ended(outcome, by_path[outcome.path]),
        )
        watching = asyncio.create_task(self._turns.watch_behind())
        try:
            await engine.run([self._order(candidate) for candidate in candidates])
        finally:
            watching.cancel()
        await asyncio.to_thread(self._remember_rejected)

    def _remember_rejected(self) -> None:
        # A volume that is full has no room for this either: then the next run finds it out once more.
        with suppress(PrefetchError):
            for identity, found in self._rejected:
                remember_rejected(self._volume, identity, found)
        self._rejected.clear()

    def _hear(self, event: Event) -> None:
        self._turns.note(event)
        self._listener(event)
        if isinstance(event, Progress):
            self._tell_claims()

    def _tell_claims(self) -> None:
        claims = Claims(self._turns.held, len(self._turns.behind))
        if claims != self._claims:
            self._claims = claims
            self._listener(claims)

    def _order(self, candidate: Candidate) -> Order:
        return Order(
            path=candidate.path,
            origins=candidate.origins,
            size=candidate.size,
            sha256=candidate.sha256,
            git_sha1=candidate.remote.git_sha1,
            digests=self._digests_of(candidate),
            open_now=partial(self._open_now, candidate),
            open=partial(self._open, candidate),
            lost=partial(self._turns.lost, candidate),
        )

    def _digests_of(self, candidate: Candidate) -> bytes | None:
        if candidate.copy is not None or not candidate.size or candidate.size <= BLOCK_SIZE:
            # With digests the hosts would serve the file beside the copy; and of one block the SHA-256 says all.
            return None
        known = self._blocks.get(candidate.sha256 or "")
        return known.blocks if known is not None and known.size == candidate.size else None

    def _open_now(self, candidate: Candidate) -> Incoming | None:
        taken = self._turns.take_now(candidate)
        if taken is None:
            return None
        self._current[candidate.path] = taken
        return self._placing.open(taken, self._spare)

    def _open(self, candidate: Candidate) -> Incoming:
        candidate = self._current[candidate.path] = self._turns.take(candidate)
        return self._placing.open(candidate, self._spare)

    def _place(self, finished: Sequence[Finished]) -> list[PrefetchError | None]:
        errors: dict[str, PrefetchError] = {}
        small: list[Ready] = []
        for each in finished:
            candidate = self._current[each.path]
            try:
                # Else a process that slept would put its file where another one has just put the same.
                self._turns.confirm(candidate)
            except PrefetchError as error:
                each.incoming.close()
                errors[each.path] = error
                continue
            if isinstance(each.incoming, Draft):
                small.append(Ready(candidate, each.incoming, each.sha256, each.content))
            else:
                errors |= self._place_large(candidate, each, each.incoming)
        errors |= self._place_small(small)
        return [errors.get(each.path) for each in finished]

    def _place_large(self, candidate: Candidate, each: Finished, partial_file: Partial) -> dict[str, PrefetchError]:
        try:
            self._placed[candidate.path] = self._placing.publish(candidate, partial_file, each.sha256, each.content)
        except PrefetchError as error:
            return {candidate.path: error}
        return {}

    def _place_small(self, ready: Sequence[Ready]) -> dict[str, PrefetchError]:
        try:
            outcomes = self._placing.publish_together(ready) if ready else {}
        except PrefetchError as error:
            return {each.candidate.path: error for each in ready}
        self._placed |= {path: each for path, each in outcomes.items() if isinstance(each, Placed)}
        return {path: each for path, each in outcomes.items() if isinstance(each, PrefetchError)}

    def _ended(self, outcome: Outcome, candidate: Candidate) -> None:
        self._turns.done(candidate, outcome.error)
        copied = 0 if candidate.copy is None else candidate.copy.served - self._copied[outcome.path]
        self._copied[outcome.path] += copied
        received = self._spent[outcome.path] = self._spent[outcome.path] + outcome.received - copied
        if isinstance(outcome.error, BusyError):
            return
        model = candidate.standing.model
        for origin, found in outcome.rejected if model.sha256 is not None else ():
            if (remote := candidate.remote_of(origin)) is not None:
                self._rejected.append((identity_of(model, remote), found))
        if candidate.recorded is not None and isinstance(outcome.error, HashMismatch):
            text = (
                f"{outcome.error.message} That was only recorded when it came last, so it is fetched as another file."
            )
            self._listener(Notice("warning", text))
            self._unlike.append(replace(candidate, recorded=None))
            return
        if outcome.error is not None:
            tell = self._scores.left if isinstance(outcome.error, Interrupted) else self._scores.failed
            tell(
                outcome.path,
                outcome.error,
                size=outcome.size,
                sha256=candidate.sha256,
                received=received,
                resumed=outcome.resumed,
            )
            return
        placed = self._placed[outcome.path]
        self._tell_kept(placed)
        # What was fetched may have turned out to stand there: the user's file is the one that stays.
        is_here = not placed.record.placed or (candidate.copy is not None and received == 0)
        status: DoneStatus = "adopted" if is_here else "downloaded"
        self._scores.done(status, placed.record, received=received, resumed=outcome.resumed, seconds=outcome.seconds)

    def _link_all(self, links: Iterable[Link[Candidate]]) -> Plan[Candidate]:
        """Link what was fetched for another path.

        Returns:
            What is left to fetch, because the other path could not be given to its bytes and this one may.
        """
        unlike = [link for link in links if isinstance(self._scores.error_of(link.same_as), FormatMismatch)]
        for link in links:
            if link not in unlike:
                self._link(link)
        return make_plan((link.model for link in unlike), here={}, resumed={})

    def _link(self, link: Link[Candidate]) -> None:
        path, error = link.model.path, self._scores.error_of(link.same_as)
        if error is None:
            try:
                placed = self._placing.link(link.model, link.same_as)
            except PrefetchError as failure:
                error = failure
        if error is not None:
            self._scores.failed(path, error)
        else:
            self._tell_kept(placed)
            self._scores.done("linked", placed.record)

    def _tell_kept(self, placed: Placed) -> None:
        if placed.kept_at is not None:
            # It may be gone by now, with the whole volume: that is for the next step to say.
            with suppress(OSError):
                size = (self._volume.root / placed.kept_at).lstat().st_size
                self._scores.kept(placed.record.path, placed.kept_at, size)
