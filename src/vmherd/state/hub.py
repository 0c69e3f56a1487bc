"""Hands the events of a store to every subscription in this process, whichever process caused them."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar, cast

from vmherd.events import Event, Subscription
from vmherd.state.notify import Listener, ping
from vmherd.state.store import Store

E = TypeVar("E", bound=Event)


class EventHub(Generic[E]):
    """The events of a store, which are all of class ``E``.

    ``folder`` is where the processes of this store listen for each other; None where there is just this one."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        self._listener: Listener | None = None
        self._subscriptions: list[Subscription[E]] = []
        self._seq = 0
        store.committed = self._changed

    def subscribe(self, *wanted: type[E]) -> Subscription[E]:
        """The events of these classes from now on; all but those of QEMU's monitor where none is named."""
        if not self._subscriptions:
            self._seq = self._store.last_seq()
            if self._folder:
                self._listener = Listener(self._folder, self._deliver)
        subscription: Subscription[E] = Subscription(self._unsubscribe, wanted)
        self._subscriptions.append(subscription)
        return subscription

    def _changed(self) -> None:
        if self._folder:
            ping(self._folder)
        self._deliver()

    def close(self) -> None:
        for subscription in list(self._subscriptions):
            subscription.close()

    def _deliver(self) -> None:
        if not self._subscriptions:
            return
        for event in self._store.events_after(self._seq):
            self._seq = event.seq
            for subscription in self._subscriptions:
                if subscription.wants(told := cast("E", event)):
                    subscription.put(told)

    def _unsubscribe(self, subscription: Subscription[E]) -> None:
        self._subscriptions.remove(subscription)
        if not self._subscriptions and self._listener:
            self._listener.close()
            self._listener = None
