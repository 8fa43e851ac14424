"""What is wrong with the rows of an import: what the file's reader says of them and what the service does."""

from collections.abc import Iterator

from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.commands.stock_csv import CsvProblem, CsvRow

# As many as the service names: each such row takes one of them at least, so none further is ever shown.
MOST_KEPT = 1000


class UnreadableRows:
    """The rows of which some cells cannot be read; the service refused their quantity in place of those."""

    def __init__(self) -> None:
        self._problems: dict[int, list[CsvProblem]] = {}
        self._rows = 0
        self._count = 0

    def note(self, row: CsvRow) -> None:
        """Remembers what is wrong with a row, if anything is."""
        if not row.problems:
            return
        self._rows += 1
        self._count += len(row.problems)
        if self._rows <= MOST_KEPT:
            self._problems[row.message.line] = row.problems

    def lines_with(self, done: pb.ImportStocksResponse) -> Iterator[str]:
        """Each problem of the import, those of the service among them, by line as far as the service names them."""
        shown = list(self._all_of(done))
        yield from map(str, shown)
        more = done.problem_count - self._rows + self._count - len(shown)
        if more:
            yield f"… and {more} more problem{'' if more == 1 else 's'}"

    def _all_of(self, done: pb.ImportStocksResponse) -> Iterator[CsvProblem]:
        line = 0
        for problem in done.problems:
            here = self._problems.get(problem.line, [])
            if problem.line != line:
                yield from here
            line = problem.line
            if not here or problem.field != "quantity":
                yield CsvProblem(line, problem.field.removeprefix("details."), problem.description)
