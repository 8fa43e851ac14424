"""What holdfast promises when things fail."""

from collections.abc import Mapping

PROMISES: Mapping[int, str] = {
    1: "Never more units are held and sold than there are",
    2: "A batch is all or nothing; what is repeated in it is added up",
    3: "No deadlock reaches a caller",
    4: "A repeated call has one effect and the same answer",
    5: "A lost answer is safe to ask for again",
    6: "A hold past its time never blocks a sale, whatever the process's clock says",
    7: "A hold is resolved exactly once",
    8: "A late copy of a wish that was released holds nothing",
    9: "Quantity is the sum of the movements, reserved the sum of the open lines, always",
    10: "A crash between any two steps converges",
    11: "Without inventory nothing is lost",
    12: "Without delivery, for ever, stock is not lost",
    13: "No command or event of a package is skipped or overtaken",
    14: "A state never goes back, and the last one is the last",
    15: "One driver a package",
    16: "No transition without its evidence, and no photo is lost or altered",
    17: "A package can be cancelled before it leaves, and never after",
    18: "Of two writers the stale one loses",
    19: "A list shows each row once",
    20: "The look-up of an order is exact, and by an index",
    21: "Migrations resume and tell how far they are",
    22: "An import that is interrupted and repeated happens once",
    23: "Reports say how old they are",
    24: "A graceful stop loses nothing",
    25: "The reconciler never makes it worse",
}
