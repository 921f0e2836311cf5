"""Tells the running graph something, where the ``ros2`` command is not installed.

``. tools/env.sh`` first, then for example

  python tools/tell.py say go to the green cube
  python tools/tell.py stop | estop | reset | enable
"""

from __future__ import annotations

import argparse
import sys
import time

import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger
from vla_msgs.msg import Instruction

from vla_common.qos import LATCHED

PATIENCE = 5.0  # [s]


def say(node: Node, text: str) -> str:
    """Publish an instruction once somebody listens. Raises TimeoutError."""
    publisher = node.create_publisher(Instruction, "/vla/instruction", LATCHED)
    end = time.monotonic() + PATIENCE
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > end:
            raise TimeoutError("nobody subscribes to /vla/instruction: is the graph running?")
        rclpy.spin_once(node, timeout_sec=0.05)
    time.sleep(0.5)  # other listeners are found as well
    message = Instruction(text=text)
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.5)  # a reliable message needs its sender until it has arrived
    return f"said: {text}"


def ask_gate(node: Node, what: str) -> str:
    """Call one of the gate's services. Raises TimeoutError, RuntimeError when it is refused."""
    client = node.create_client(Trigger, f"/safety_gate/{what}")
    if not client.wait_for_service(timeout_sec=PATIENCE):
        raise TimeoutError(f"no /safety_gate/{what}: is the graph running?")
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=PATIENCE)
    answer = future.result()
    if answer is None:
        raise TimeoutError(f"/safety_gate/{what} did not answer within {PATIENCE:g} s")
    if not answer.success:
        raise RuntimeError(f"{what} is refused: {answer.message}")
    return f"{what}: {answer.message or 'done'}"


def main() -> int:
    """Do what the command line says; 1 when it could not be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("say", "stop", "estop", "reset", "enable"))
    parser.add_argument("words", nargs="*", help="what to do; after say")
    options = parser.parse_args()
    if (options.what == "say") != bool(options.words):
        parser.error("say needs words, the others take none")
    rclpy.init()
    node = rclpy.create_node("tell")
    try:
        if options.what == "say":
            print(say(node, " ".join(options.words)))
        else:
            print(ask_gate(node, options.what))
    except (TimeoutError, RuntimeError) as error:
        print(f"tell: {error}", file=sys.stderr)
        return 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
