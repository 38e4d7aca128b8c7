"""Messages and attempts in plain words, for the stories of counterexamples."""

from tests.faults.protocol.state import ATTEMPTS_OF_ONE, DEAD, Message, sub_task_of


def attempt_name(attempt: int) -> str:
    """`s1/2` is the second attempt of sub-task 1."""
    return f"s{sub_task_of(attempt)}/{attempt % ATTEMPTS_OF_ONE}"


def worker_name(worker: int) -> str:
    """Which worker; of those that are no more nobody knows which."""
    return "a dead worker" if worker == DEAD else f"worker {worker}"


def message_name(message: Message) -> str:
    """What a message says."""
    match message:
        case ("claim", worker, claim, _):
            return f"claim {claim} of {worker_name(worker)}"
        case ("turn", worker, attempt, cause, claim):
            return f"{message_name(('report', worker, attempt, cause))} with claim {claim}"
        case ("report", worker, attempt, cause):
            return f"the report of {worker_name(worker)} on {attempt_name(attempt)} ({cause or 'completed'})"
        case ("answer", claim, attempt, _, left, settled):
            answer = f"the answer to claim {claim}: {attempt_name(attempt) if attempt else 'nothing'}"
            answer += f", and that {attempt_name(settled)} is settled" if settled else ""
            return answer + (", and that a token is left" if left else "")
        case ("settled" | "refused" as verdict, attempt):
            return f"that {attempt_name(attempt)} is {verdict}"
        case ("beat", worker, *_):
            return f"a heartbeat of {worker_name(worker)}"
        case ("canary",):
            return "a canary"
        case ("token", copies):
            return f"{copies} tokens"
        case (kind,):
            return f"'{kind} the run'"
    raise LookupError(message)
