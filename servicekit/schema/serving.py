"""Which schemas a build may serve: its own, and a newer one that says that older builds may go on beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Serving:
    """A schema as it was found, beside what this build expects."""

    service: str
    applied: str | None
    """The revision that was found, None if there is none."""
    expected: str
    known: bool
    """Whether this build has the applied revision: one that it lacks is of a newer build."""
    since: str | None
    """The oldest revision whose builds may serve one that this build lacks; None if nobody recorded it."""

    @property
    def level(self) -> bool:
        """Whether the schema is the one that this build was written for."""
        return self.applied == self.expected

    @property
    def newer(self) -> bool:
        """Whether a newer build has moved it."""
        return self.applied is not None and not self.known

    @property
    def allowed(self) -> bool:
        """Whether this build may serve it."""
        return self.level or (self.newer and self.since is not None and self.since <= self.expected)

    @property
    def told(self) -> str:
        """What was found, in a sentence."""
        if self.level:
            return f"the schema is at {self.applied}, as this build expects"
        if not self.newer:
            return f"the schema is at {self.applied or 'nothing'}, this build expects {self.expected}"
        told = f"the schema is at {self.applied}, ahead of this build, which is of {self.expected}"
        return f"{told}; builds since {self.since} may serve it" if self.since else told

    @property
    def remedy(self) -> str:
        """What brings the two together, a command or, where only people can, words; nothing where they are."""
        return f"deploy the build whose schema is {self.applied}" if self.newer else self.next_command

    @property
    def next_command(self) -> str:
        """The command to try next; nothing where the two are together. Builds are deployed by none of ours."""
        if self.level:
            return ""
        return f"{self.service}-service migrate {'status' if self.newer else 'upgrade'}"
