"""One file on its way to one peer: blocks, windows, acknowledgements and the timer.

The timer follows the round trips (RFC 6298): the smoothed time and four times its deviation, between RESEND_LEAST
and RESEND_AFTER, unless the client asked for a timeout (RFC 2349), which then counts. It doubles with each resend and
learns nothing from what was sent twice. A transfer whose client is silent for GIVE_UP seconds, and for six sendings
at least, is over.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress

from bootforge.serve import counters
from bootforge.serve.tftp_files import Framed
from bootforge.serve.tftp_line import Line
from bootforge.serve.tftp_loop import Loop
from bootforge.serve.tftp_wire import UNDEFINED, Address, Refused, Request, error_packet

RESEND_AFTER, RESEND_LEAST, LONGEST_WAIT, RESENDS, GIVE_UP = 1.0, 0.2, 16.0, 5, 45.0  # seconds, but for RESENDS
TURN_BYTES = 128 << 10  # sent to one client before the others have their turn
SEND_BYTES = 65000  # in one datagram, whatever it is cut into
SEGMENTS = 64  # UDP_MAX_SEGMENTS of Linux; newer ones take 128
SMALLEST_SEGMENT = 512  # bytes: an OACK or ERROR stays whole
RESENT = counters.Number("counter", "bootforge_tftp_retransmissions", "Blocks or windows that were sent again.")
TIMEOUTS = counters.Number("counter", "bootforge_tftp_timeouts", "Transfers that were given up: the client was silent.")
_UNSEGMENTED = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
"""How kernels refuse to cut a datagram: blocks larger than the path's MTU, no checksums by the NIC, IPsec."""


class Transfer:
    """``acked`` is the last block the client has, ``sent`` the last sent; block 0 is the OACK. Blocks are counted
    on without end and cut to 16 bits on the wire: any size works.

    At ``deadline`` somebody calls ``on_deadline``. ``confirmed`` is told once, when the client has answered;
    ``ended`` with how it went.
    """

    def __init__(
        self,
        loop: Loop,
        line: Line,
        file: Framed,
        request: Request,
        granted: dict[bytes, tuple[bytes, int]],
        peer: Address,
        confirmed: Callable[[Transfer], None],
        ended: Callable[[Transfer, str], None],
    ) -> None:
        self.request, self.peer, self.half_open, self.resends = request, peer, True, 0
        self._loop, self._line, self._file, self._confirmed, self._ended = loop, line, file, confirmed, ended
        value = {name: number for name, (_, number) in granted.items()}
        self._oack = b"\0\6" + b"".join(b"%b\0%d\0" % pair for pair in granted.values())
        self._window = value.get(b"windowsize", 1)
        self._last, self._step, self._per_chunk = file.last, file.step, file.per_chunk
        self._chunk, self._chunk_first = memoryview(b""), 1
        self._send, self._paused = line.send, False
        self._burst = 1
        if self._window > 1 and file.blksize >= SMALLEST_SEGMENT:
            with suppress(OSError):
                line.segment(file.step)
                self._burst = max(1, min(self._window, SEGMENTS, SEND_BYTES // file.step))
        self.acked = self.sent = -1 if granted else 0
        self._fixed = b"timeout" in value
        self._rto = float(value.get(b"timeout", RESEND_AFTER))
        self._srtt = self._deviation = 0.0
        self._started = self._heard = self._sent_at = loop.now
        self.deadline = loop.now

    @property
    def delivered(self) -> int:
        """Bytes of the file that the client has acknowledged."""
        return min(max(self.acked, 0) * self._file.blksize, self._file.size)

    def start(self) -> None:
        """Send what comes first."""
        self._line.open(self)
        self.fill()

    def poll(self) -> None:
        """Take a packet that is there already."""
        self._line.poll()

    def receive(self, packet: bytes) -> None:
        """A packet from the client; what is neither ACK nor ERROR is ignored."""
        if packet[:2] == b"\0\4" and len(packet) >= 4:
            # The ACK of an old block sends nothing (Sorcerer's Apprentice, RFC 1123, 4.2.3.1); one inside the
            # window says that the block after it was lost, and sending goes on from there (RFC 7440, section 4).
            ahead = ((packet[2] << 8 | packet[3]) - self.acked) & 0xFFFF
            if 0 < ahead <= self.sent - self.acked:
                self._on_ack(self.acked + ahead)
        elif packet[:2] == b"\0\5":
            text = ascii(packet[4:104].partition(b"\0")[0].decode("latin-1"))
            said = f"ERROR {int.from_bytes(packet[2:4], 'big')} {text}"
            # In answer to an OACK this is no failure: the client only wanted the size (RFC 2347; OVMF).
            self.end(f"told its size, {said}" if self.acked < 0 else f"failed: the client sent {said}")

    def _on_ack(self, block: int) -> None:
        self._heard = now = self._loop.now
        if not block & 7 and block == self.sent and not self.resends and not self._fixed:
            self._learn(now - self._sent_at)
        self.acked = self.sent = block
        self.resends = 0
        if self.half_open:
            self.half_open = False
            self._confirmed(self)
        if block == self._last:
            self._done()
        else:
            self.fill()

    def _learn(self, round_trip: float) -> None:
        """RFC 6298, section 2, from every eighth block or window: it is the slow ones that matter."""
        if not self._srtt:
            self._srtt, self._deviation = round_trip, round_trip / 2
        else:
            self._deviation += (abs(self._srtt - round_trip) - self._deviation) / 4
            self._srtt += (round_trip - self._srtt) / 8
        self._rto = min(max(RESEND_LEAST, self._srtt + 4 * self._deviation), RESEND_AFTER)

    def fill(self) -> None:
        """Send what the window has room for, and set the timer."""
        top = min(self.acked + self._window, self._last) if self.acked >= 0 else 0
        budget = TURN_BYTES
        while self.sent < top:
            if budget <= 0:  # the others first
                return self._pause()
            try:
                packet = self._packets(self.sent + 1, min(top - self.sent, self._burst))
            except (Refused, OSError) as error:
                return self.fail(str(error))
            try:
                self._send(packet)
            except BlockingIOError:  # a full send buffer: go on when it has room
                return self._pause()
            except ConnectionRefusedError:
                return self.refused()
            except OSError as error:
                if self._burst > 1 and error.errno in _UNSEGMENTED:
                    self._send_whole()
                    continue
                # A firewall, no route: lost like any packet, and resent by the timer.
            budget -= len(packet)
            self.sent += -(-len(packet) // self._step) if self.sent >= 0 else 1
        if self._paused:
            self._paused = False
            self._line.pause(False)
        self._arm()

    def _packets(self, block: int, count: int) -> memoryview | bytes:
        """Up to ``count`` packets, one behind the other, as far as they are in one chunk."""
        if block == 0:
            return self._oack
        at = (block - self._chunk_first) * self._step
        if not 0 <= at < len(self._chunk):
            index = (block - 1) // self._per_chunk
            self._chunk, self._chunk_first = memoryview(self._file.chunk(index)), index * self._per_chunk + 1
            at = (block - self._chunk_first) * self._step
        return self._chunk[at : at + count * self._step]

    def _send_whole(self) -> None:
        """From now on without segmentation: the kernel refuses it, or the path seems to."""
        self._burst = 1
        with suppress(OSError):
            self._line.segment(0)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._line.pause(True)
        self._arm()

    def _arm(self) -> None:
        """Push the deadline back."""
        self._sent_at = now = self._loop.now
        wait = min(self._rto * 2**self.resends, max(self._rto, LONGEST_WAIT)) if self.resends else self._rto
        self.deadline = now + wait

    def on_deadline(self) -> None:
        """The client has been silent for too long."""
        now = self._loop.now
        if self.resends >= RESENDS and now - self._heard >= GIVE_UP:
            TIMEOUTS.add()
            self.fail(f"no answer after block {self.acked}")
        else:
            RESENT.add()
            self.resends += 1
            self.sent = self.acked
            if self.resends == 2 and self._burst > 1:
                self._send_whole()  # a driver, or a tunnel, that takes segments and loses them
            self.fill()

    def refused(self) -> None:
        """The client's port is closed."""
        if self.sent == self._last:  # it has it all, and its ACK was lost
            self._done(", last ACK lost")
        else:
            self.end(f"failed: the client left after block {self.acked}")

    def _done(self, note: str = "") -> None:
        how = f"in {self._loop.now - self._started:.2f} s, blksize {self._file.blksize}, window {self._window}"
        self.end(f"sent {self._file.size} bytes {how}{note}")

    def fail(self, why: str) -> None:
        """End with an ERROR to the client."""
        with suppress(OSError):
            self._send(error_packet(UNDEFINED, why))
        self.end(f"failed: {why}")

    def end(self, how: str) -> None:
        """Close everything, and say how it went."""
        self._chunk = memoryview(b"")
        self._line.close()
        self._file.release()
        self._ended(self, how)
