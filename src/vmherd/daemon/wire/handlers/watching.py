"""Clients that want to hear what happens to networks, pools, devices of the host and secrets."""

from __future__ import annotations

from typing import Any

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.resourceevents import ResourceCallbacks
from vmherd.driver.network import NetworkDriver
from vmherd.driver.nodedev import NodeDeviceDriver
from vmherd.driver.secret import SecretDriver
from vmherd.driver.storage import StorageDriver


def _callbacks(call: Call) -> ResourceCallbacks:
    client = call.client
    if client.resource_callbacks is None:
        client.resource_callbacks = ResourceCallbacks(client)
    return client.resource_callbacks


@remote
async def connect_network_event_register_any(call: Call, event: int, network: Any) -> int:
    driver = await call.driver.resource(NetworkDriver)
    return await _callbacks(call).add("network", driver, event, network.uuid if network else "")


@remote
def connect_network_event_deregister_any(call: Call, number: int) -> None:
    _callbacks(call).remove("network", number)


@remote
async def connect_storage_pool_event_register_any(call: Call, event: int, pool: Any) -> int:
    driver = await call.driver.resource(StorageDriver)
    return await _callbacks(call).add("storage_pool", driver, event, pool.uuid if pool else "")


@remote
def connect_storage_pool_event_deregister_any(call: Call, number: int) -> None:
    _callbacks(call).remove("storage_pool", number)


@remote
async def connect_node_device_event_register_any(call: Call, event: int, device: Any) -> int:
    driver = await call.driver.resource(NodeDeviceDriver)
    return await _callbacks(call).add("node_device", driver, event, device.name if device else "")


@remote
def connect_node_device_event_deregister_any(call: Call, number: int) -> None:
    _callbacks(call).remove("node_device", number)


@remote
async def connect_secret_event_register_any(call: Call, event: int, secret: Any) -> int:
    driver = await call.driver.resource(SecretDriver)
    return await _callbacks(call).add("secret", driver, event, secret.uuid if secret else "")


@remote
def connect_secret_event_deregister_any(call: Call, number: int) -> None:
    _callbacks(call).remove("secret", number)
