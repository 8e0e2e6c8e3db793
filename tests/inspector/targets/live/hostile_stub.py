"""A stub that takes what it can get: by gdb's File-I/O protocol it asks gdb to write, remove and read files and to run
a command. All of it is harmless, and in a folder of the test's.

Source: gdb manual, "File-I/O Remote Protocol Extension".
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

WRITE_NEW = 0x1 | 0x200 | 0x400
STRINGS = 0x1000
REGISTERS = b"0" * 16 * 17 + b"0" * 8 * 7


class HostileStub:
    """Listens on loopback; as soon as the machine is let go, it asks for everything in turn.

    Attributes:
        answers: what gdb said to each request.
        written: what gdb has stored in the machine's memory: the content of a file that it has read.
    """

    def __init__(self, folder: Path) -> None:
        self.made, self.victim, self.secret, self.ran = (folder / n for n in ("made", "victim", "secret", "ran"))
        self.victim.write_text("still here")
        self.secret.write_text("a secret")
        self.answers: list[bytes] = []
        self.written = b""
        self.memory = bytearray(0x4000)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _requests(self) -> list[bytes]:
        texts = [str(self.made), str(self.victim), str(self.secret), f"touch {self.ran}"]
        places = []
        for number, text in enumerate(texts):
            at = STRINGS + number * 0x400
            raw = text.encode() + b"\0"
            self.memory[at : at + len(raw)] = raw
            places.append(b"%x/%x" % (at, len(raw)))
        return [
            b"Fopen,%s,%x,1b6" % (places[0], WRITE_NEW),
            b"Funlink,%s" % places[1],
            b"Fsystem,%s" % places[3],
            b"Fopen,%s,0,0" % places[2],
            b"Fread,3,3000,20",
            b"Fread,4,3000,20",
            b"Fread,5,3000,20",
        ]

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        rest = b""
        pending: list[bytes] = []
        while True:
            try:
                data = client.recv(4096)
            except OSError:
                return
            if not data:
                return
            rest += data
            while b"#" in rest and len(rest.partition(b"#")[2]) >= 2:
                packet, _, tail = rest.partition(b"#")
                rest = tail[2:]
                packet = packet.rpartition(b"$")[2]
                client.sendall(b"+")
                if packet.startswith((b"c", b"vCont;c", b"vCont;C", b"C")):
                    pending = self._requests()
                    answer: bytes | None = pending.pop(0)
                elif packet.startswith(b"F"):
                    self.answers.append(packet)
                    answer = pending.pop(0) if pending else b"T05thread:01;"
                    if not pending:
                        self.done.set()
                else:
                    answer = self._answer(packet)
                client.sendall(b"$" + answer + b"#%02x" % (sum(answer) & 0xFF))

    def _answer(self, packet: bytes) -> bytes:
        simple = {
            b"qqemu.PhyMemMode": b"0",
            b"qC": b"QC01",
            b"qfThreadInfo": b"m01",
            b"qsThreadInfo": b"l",
            b"qAttached": b"1",
            b"?": b"T05thread:01;",
            b"vCont?": b"vCont;c;C;s;S",
            b"g": REGISTERS,
        }
        if packet in simple:
            return simple[packet]
        if packet.startswith(b"qSupported"):
            return b"PacketSize=1000;vContSupported+"
        if packet.startswith((b"H", b"T", b"Qqemu.PhyMemMode", b"D")):
            return b"OK"
        if packet.startswith(b"m"):
            address, _, size = packet[1:].partition(b",")
            at = int(address, 16) % len(self.memory)
            return self.memory[at : at + int(size, 16)].hex().encode()
        if packet.startswith((b"M", b"X")):
            data = packet.partition(b":")[2]
            self.written += bytes.fromhex(data.decode()) if packet.startswith(b"M") else data
            return b"OK"
        return b""
