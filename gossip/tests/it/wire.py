#!/usr/bin/env python3
"""A wire between network namespaces, in user space: delay, jitter, loss and partition, on any kernel that has TUN devices.

    wire.py SEED DEVICE...

Makes the TUN devices, and carries IPv4 packets between them by their last address byte: device number i, from 1 on, is
10.77.0.i. Reads commands from standard input, a line each, and answers each with a line:

    delay MILLISECONDS JITTER     loss FRACTION     part I,J,...     heal     stats

`part` cuts every packet between the devices named and the others. Ends with its input.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

# Packets that may be under way; further ones are dropped, as by any queue.
UNDER_WAY_MAX = 20_000


def open_tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Wire:
    def __init__(self, seed, names):
        self.chance = random.Random(seed)
        self.devices = {number: open_tun(name) for number, name in enumerate(names, 1)}
        self.delay = self.jitter = self.loss = 0.0
        self.side = set()
        self.under_way = []
        self.sequence = 0
        self.packets = self.bytes = self.lost = self.cut = 0

    def take(self, number):
        """Reads what a device sends until there is nothing."""
        while True:
            try:
                packet = os.read(self.devices[number], 65_536)
            except BlockingIOError:
                return
            if len(packet) < 20 or packet[0] >> 4 != 4 or packet[16:19] != b"\x0a\x4d\x00":
                continue
            to = packet[19]
            if to not in self.devices:
                continue
            if (number in self.side) != (to in self.side):
                self.cut += 1
            elif self.chance.random() < self.loss or len(self.under_way) >= UNDER_WAY_MAX:
                self.lost += 1
            else:
                due = time.monotonic() + self.delay + self.jitter * self.chance.random()
                self.sequence += 1
                heapq.heappush(self.under_way, (due, self.sequence, to, packet))

    def deliver(self):
        while self.under_way and self.under_way[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(self.under_way)
            self.packets += 1
            self.bytes += len(packet)
            try:
                os.write(self.devices[to], packet)
            except OSError:
                # The device is down, or its queue is full.
                self.lost += 1

    def command(self, line):
        word, *rest = line.split()
        if word == "delay":
            self.delay, self.jitter = (float(value) / 1000 for value in rest)
        elif word == "loss":
            self.loss = float(rest[0])
        elif word == "part":
            self.side = {int(number) for number in rest[0].split(",")}
        elif word == "heal":
            self.side = set()
        elif word == "stats":
            return f"{self.packets} {self.bytes} {self.lost} {self.cut}"
        else:
            return f"unknown: {word}"
        return "ok"

    def run(self):
        numbers = {device: number for number, device in self.devices.items()}
        text = b""
        while True:
            wait = max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None
            readable, _, _ = select.select([0, *numbers], [], [], wait)
            for device in readable:
                if device != 0:
                    self.take(numbers[device])
                    continue
                chunk = os.read(0, 4_096)
                if not chunk:
                    return
                text += chunk
                *lines, text = text.split(b"\n")
                for line in lines:
                    print(self.command(line.decode()), flush=True)
            self.deliver()


if __name__ == "__main__":
    wire = Wire(int(sys.argv[1]), sys.argv[2:])
    print("ready", flush=True)
    wire.run()
