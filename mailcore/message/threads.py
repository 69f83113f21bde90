"""Threads: which message answers which (RFC 5256 §3, and THREAD=REFS of draft-ietf-morg-inthread).

What lives here: the algorithms, from what was read of messages to a forest, and the forest as IMAP
writes it.  What does not: reading (references.py, sortkeys.py) and mailboxes.

Nothing is recursive: a thread may be as deep as a mailbox is long.  A forest is three lists side by
side: for each node its number (0: a message that is not here), its children, and its place in time.

The one step that could cost more than its share is to see that a link would close a circle.  A
message that nothing hangs on cannot; for the others the way up is walked, and all walks together may
take WALK steps for each message.  Whoever has written so odd references gets some links less.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WALK = 100

NO_PARENT = -1


class Read:
    """What was read of one message: all that threads are made of."""

    __slots__ = ("ancestors", "arrived", "date", "id", "name", "reply", "subject")

    def __init__(self, name: int, date: int, arrived: int = 0) -> None:
        self.name = name  # what it is called in the answer
        self.date = date  # when it was sent, Unix seconds
        self.arrived = arrived
        self.subject = b""  # its base (RFC 5256 §2.1)
        self.reply = False  # it was a reply's or a forward's
        self.id = b""  # empty without one
        self.ancestors: Sequence[bytes] = ()


class Forest:
    """Nodes by index: `reads` (None: not here) and `children`; `roots` are the threads."""

    __slots__ = ("children", "reads", "roots")

    def __init__(self, reads: Iterable[Read | None] = ()) -> None:
        self.reads = list(reads)
        self.children: list[list[int]] = [[] for _ in self.reads]
        self.roots: list[int] = []

    def add(self, read: Read | None = None) -> int:
        self.reads.append(read)
        self.children.append([])
        return len(self.reads) - 1

    def head(self, node: int) -> Read:
        """The message, or the first one under it if it is not here itself (children are sorted then)."""
        while (read := self.reads[node]) is None:
            node = self.children[node][0]
        return read

    def place(self, node: int) -> tuple[int, int]:
        """Where it stands among its siblings: by date, then in the order of the mailbox."""
        head = self.head(node)
        return head.date, head.name

    def sort(self) -> None:
        """Sort the children of all, those of messages that are not here first: they have no date of their own."""
        for node, children in enumerate(self.children):
            if len(children) > 1 and self.reads[node] is not None:
                children.sort(key=self.place)
        self.roots.sort(key=self.place)


# --- the algorithms ------------------------------------------------------------------


def ordered_subject(reads: Sequence[Read]) -> Forest:
    """Messages of one base subject, the first and all others under it (RFC 5256 §3 ORDEREDSUBJECT)."""
    forest = Forest(reads)
    first: dict[bytes, int] = {}
    for node in sorted(range(len(reads)), key=forest.place):
        root = first.setdefault(reads[node].subject, node)
        if root == node:
            forest.roots.append(node)
        else:
            forest.children[root].append(node)
    return forest


def references(reads: Sequence[Read]) -> Forest:
    """By References, then threads of one base subject together (RFC 5256 §3 REFERENCES)."""
    forest = _pruned(*_linked(reads))
    _sort_groups(forest, forest.roots)
    forest.sort()
    _merge(forest)
    _sort_groups(forest, forest.roots)
    forest.sort()
    return forest


def refs(reads: Sequence[Read]) -> Forest:
    """By References alone; threads stand by the message that was sent last, as in Dovecot (THREAD=REFS)."""
    forest = _pruned(*_linked(reads))
    _sort_groups(forest, forest.roots)
    forest.sort()
    newest = {root: max((read.date, read.name) for read in _all(forest, root)) for root in forest.roots}
    forest.roots.sort(key=newest.__getitem__)
    return forest


def _all(forest: Forest, root: int) -> list[Read]:
    """The messages of one thread."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        waiting += forest.children[node]
        if (read := forest.reads[node]) is not None:
            found.append(read)
    return found


# --- REFERENCES, step by step --------------------------------------------------------


class _Links:
    """Nodes and their parents while references are read (RFC 5256 §3 step 1)."""

    __slots__ = ("hanging", "left", "node_of", "parent", "reads")

    def __init__(self, reads: Sequence[Read]) -> None:
        self.reads: list[Read | None] = list(reads)
        self.parent = [NO_PARENT] * len(reads)
        self.hanging = [0] * len(reads)  # how many nodes have it as parent
        self.left = WALK * (len(reads) + 1000)  # steps
        self.node_of: dict[bytes, int] = {}
        for node, read in enumerate(reads):
            if read.id:
                self.node_of.setdefault(read.id, node)  # of two of one id the first has it

    def node(self, id_: bytes) -> int:
        """The node of an id; that of a message that is not here is made."""
        node = self.node_of.get(id_)
        if node is None:
            node = self.node_of[id_] = len(self.reads)
            self.reads.append(None)
            self.parent.append(NO_PARENT)
            self.hanging.append(0)
        return node

    def link(self, parent: int, child: int) -> None:
        """Hang `child`, which has no parent, on `parent`, unless that closes a circle."""
        if parent == child or (self.hanging[child] and self._above(child, parent)):
            return
        self.parent[child] = parent
        self.hanging[parent] += 1

    def cut(self, child: int) -> None:
        if self.parent[child] >= 0:
            self.hanging[self.parent[child]] -= 1
            self.parent[child] = NO_PARENT

    def _above(self, upper: int, node: int) -> bool:
        """Does `upper` stand on the way up from `node`?  Yes too if we have walked enough."""
        while node >= 0 and node != upper:
            node = self.parent[node]
            self.left -= 1
            if self.left < 0:
                return True
        return node == upper


def _linked(reads: Sequence[Read]) -> tuple[list[Read | None], list[int]]:
    """Step 1: each message hangs on the last one it refers to, and these on each other as it says."""
    links = _Links(reads)
    for node, read in enumerate(reads):
        before = NO_PARENT
        for id_ in read.ancestors:
            here = links.node(id_)
            if before >= 0 and links.parent[here] < 0:
                links.link(before, here)
            before = here
        links.cut(node)  # what others said of it counts less than what it says itself
        if before >= 0:
            links.link(before, node)
    return links.reads, links.parent


def _pruned(reads: list[Read | None], parent: list[int]) -> Forest:
    """Steps 2 and 3: messages that are not here are left out, but for those on top that hold several together."""
    forest = Forest(reads)
    top = _tops(reads, parent)
    for node, read in enumerate(reads):
        if read is not None:
            above = top[node]
            (forest.roots if above < 0 else forest.children[above]).append(node)
    for node, read in enumerate(reads):
        if read is None and (children := forest.children[node]):
            forest.roots += [node] if len(children) > 1 else children
    return forest


def _tops(reads: list[Read | None], parent: list[int]) -> list[int]:
    """For each node the nearest one above it that is here, else the uppermost one; NO_PARENT for that one itself."""
    top: list[int | None] = [None] * len(parent)
    for start in range(len(parent)):
        way = []
        node = start
        while top[node] is None and parent[node] >= 0:
            way.append(node)
            node = parent[node]
        if top[node] is None:
            top[node] = NO_PARENT
        for lower in reversed(way):
            above = parent[lower]
            here = reads[above] is not None or top[above] == NO_PARENT
            top[lower] = above if here else top[above]
    return [NO_PARENT if found is None else found for found in top]


def _sort_groups(forest: Forest, roots: list[int]) -> None:
    """Step 4: what hangs on messages that are not here, so that these have a date: that of the first."""
    for root in roots:
        if forest.reads[root] is None:
            forest.children[root].sort(key=forest.place)


def _merge(forest: Forest) -> None:
    """Step 5: threads of one base subject become one."""
    first = _first_of_each_subject(forest)
    instead: dict[int, int] = {}  # of a root: what holds it now
    gone = set()
    for root in list(forest.roots):
        head = forest.head(root)
        chosen = first.get(head.subject) if head.subject else None
        if chosen is None or chosen == root or root in instead:
            continue
        gone.add(root)
        chosen_is_here, root_is_here = forest.reads[chosen] is not None, forest.reads[root] is not None
        if not chosen_is_here and not root_is_here:
            forest.children[chosen] += forest.children[root]
        elif not chosen_is_here or (head.reply and not forest.head(chosen).reply):
            forest.children[chosen].append(root)
        else:
            first[head.subject] = instead[chosen] = both = forest.add()
            forest.children[both] = [chosen, root]
    forest.roots = [instead.get(root, root) for root in forest.roots if root not in gone]


def _first_of_each_subject(forest: Forest) -> dict[bytes, int]:
    """The subject table of step 5: one that is not here wins, then one that is no reply."""
    first: dict[bytes, int] = {}
    for root in forest.roots:
        head = forest.head(root)
        if not head.subject:
            continue
        known = first.setdefault(head.subject, root)
        known_is_here, root_is_here = forest.reads[known] is not None, forest.reads[root] is not None
        if known_is_here and (not root_is_here or (forest.head(known).reply and not head.reply)):
            first[head.subject] = root
    return first


# --- writing -------------------------------------------------------------------------


def written(forest: Forest) -> bytes:
    """The forest as a thread-list (RFC 5256 §5): `(1 2 (3)(4 5))(6)`."""
    pieces: list[bytes] = []
    waiting: list[int | bytes] = []  # nodes, and what stands between them; the next one last
    for root in reversed(forest.roots):
        waiting += (b")", root, b"(")
    while waiting:
        here = waiting.pop()
        if isinstance(here, bytes):
            pieces.append(here)
            continue
        children, read = forest.children[here], forest.reads[here]
        if len(children) == 1:
            waiting.append(children[0])
        else:
            for child in reversed(children):
                waiting += (b")", child, b"(")
        if read is not None:
            pieces.append(b"%d" % read.name)
            if children:
                waiting.append(b" ")
    return b"".join(pieces)
