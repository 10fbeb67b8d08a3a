"""One client of several OpenAI-compatible servers: what is sent, what is sent again, and why."""

from __future__ import annotations

import asyncio
import email.utils
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from olmo_anchor.engines._servers import Server, Servers
from olmo_anchor.engines.chat import ChatReply, ChatRequest, one_line
from olmo_anchor.errors import AnchorError, InputError, WorkFailed

if TYPE_CHECKING:
    from olmo_anchor.engines.openai import OpenAIEngine

__all__ = ["KEY", "Client", "key", "library", "refused"]

KEY = "OPENAI_API_KEY"

_FAULTS = 4
"""After so many in a row it is asked whether the request is to blame, or the server."""
_PING = ChatRequest([{"role": "user", "content": "Say yes."}], max_tokens=1)


class Client:
    """Lives in the event loop: sends requests, again where that helps, and says what came back."""

    def __init__(
        self, engine: OpenAIEngine, tell: Callable[[ChatReply | AnchorError], None]
    ) -> None:
        openai = library()
        self.openai = openai
        self.engine = engine
        self.tell = tell
        self.slots = asyncio.Semaphore(engine.concurrency)
        limits = _limits(engine.concurrency)
        servers = [
            Server(
                url,
                openai.AsyncOpenAI(
                    base_url=url,
                    api_key=key(),
                    max_retries=0,
                    timeout=openai.Timeout(engine.timeout, connect=min(10.0, engine.timeout)),
                    # aiohttp: 1.4 ms of our CPU for a request. httpx takes 3, and 8 with 2000
                    # connections.
                    http_client=openai.DefaultAioHttpClient(limits=limits),
                ),
            )
            for url in engine.urls
        ]
        self.servers = Servers(servers, engine.backoff, engine.give_up)

    async def close(self) -> None:
        for server in self.servers.all:
            await server.client.close()

    async def answer(self, index: int, request: ChatRequest) -> None:
        """Tell the reply to one request, or what is wrong with all of them."""
        try:
            self.tell(await self._until_answered(index, request))
        except AnchorError as error:
            self.tell(error)
        except Exception as error:
            self.tell(WorkFailed(f"{type(error).__name__}: {say(error)}"))

    async def _until_answered(self, index: int, request: ChatRequest) -> ChatReply:
        faults, to_blame = 0, False
        while True:
            async with self.slots:
                reply = await self._attempt(index, request, well=faults > 0)
            if isinstance(reply, ChatReply):
                return reply
            if reply is not None:
                faults += 1
                if to_blame:
                    return ChatReply(index, None, failure=f"{reply.reason} ({faults} times)")
                # A server that is well just before it fails again shows which of the two it is.
                to_blame = faults >= _FAULTS and await self._well()
            await asyncio.sleep(min(self.engine.backoff * 2 ** min(faults, 6), 8.0))

    async def _well(self) -> bool:
        async with self.slots:
            return isinstance(await self._attempt(0, _PING, well=True), ChatReply)

    async def _attempt(
        self, index: int, request: ChatRequest, *, well: bool
    ) -> ChatReply | _Fault | None:
        """None: the server was only too busy."""
        openai = self.openai
        server = await self.servers.pick(well=well)
        try:
            async with asyncio.timeout(self.engine.timeout):
                found = await server.client.chat.completions.create(**self._body(request))
            reply = _reply(index, found)
        except openai.RateLimitError as error:
            self.servers.busy(server, _retry_after(error), say(error))
            return None
        except openai.APIStatusError as error:
            if not (error.status_code in (408, 409) or error.status_code >= 500):
                return self._rejected(index, server, error)
            fault = _Fault(say(error))
        except (TimeoutError, openai.APITimeoutError):
            fault = _Fault(f"no answer within {self.engine.timeout:g} s")
        except (openai.APIError, ValueError, TypeError, AttributeError, IndexError) as error:
            # Also: what answers is not JSON, or JSON of another kind.
            fault = _Fault(say(f"{type(error).__name__}: {error}"))
        else:
            self.servers.good(server)
            return reply
        finally:
            self.servers.done(server)
        self.servers.bad(server, fault.reason)
        return fault

    def _rejected(self, index: int, server: Server, error: Any) -> ChatReply:
        """A 4xx: of this request, or of all that we send."""
        if error.status_code in (401, 403):
            raise self._fatal(refused(server.url, error))
        line = say(error)
        if error.status_code == 404:
            raise self._fatal(
                f"{server.url}: there is no {self.engine.model!r} to chat with ({line}): check "
                "--model, and that --url ends as the server wants it, often in /v1"
            )
        if self.engine.structured != "none" and "structured_outputs" in line:
            raise self._fatal(
                f"{server.url}: does not know vLLM's structured_outputs ({line}): --structured none"
            )
        self.servers.good(server)
        too_long = error.code == "context_length_exceeded" or any(
            mark in line for mark in ("maximum context length", "maximum model length", "too long")
        )
        return ChatReply(index, None, failure=line, too_long=too_long)

    def _fatal(self, message: str) -> AnchorError:
        if self.servers.answered:
            return WorkFailed(f"{message}; what is done is kept: --resume goes on after it")
        return InputError(message)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.engine.model,
            "messages": request.messages,
            "max_completion_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if request.regex is not None and self.engine.structured == "vllm":
            body["extra_body"] = {"structured_outputs": {"regex": request.regex}}
        return body


class _Fault:
    def __init__(self, reason: str) -> None:
        self.reason = reason


def _reply(index: int, found: Any) -> ChatReply:
    if not getattr(found, "choices", None):
        raise ValueError(f"not a chat completion: {say(found, 80)!r}")
    choice = found.choices[0]
    text = choice.message.content
    usage = found.usage
    if choice.finish_reason == "content_filter":
        return ChatReply(index, None, failure="refused by the server's content filter")
    return ChatReply(
        index,
        text if isinstance(text, str) else "",
        choice.finish_reason,
        getattr(usage, "prompt_tokens", None) or 0,
        getattr(usage, "completion_tokens", None) or 0,
    )


def _retry_after(error: Any) -> float | None:
    """Seconds, from a header that holds seconds or a date."""
    value = error.response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _limits(connections: int) -> Any:
    """Room for all connections, in the library and in the process."""
    import resource

    # Both are dependencies of openai: httpx of its first two versions, httpx2 of the later ones.
    try:
        import httpx2 as http
    except ImportError:
        import httpx as http  # type: ignore[no-redef]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return http.Limits(max_connections=None, max_keepalive_connections=connections)


def library() -> Any:
    try:
        import aiohttp  # noqa: F401, openai's extra
        import openai
    except ImportError as error:
        raise InputError(
            f"chat servers need {error.name}: pip install 'olmo-anchor[annotate]'"
        ) from None
    return openai


def key() -> str:
    # Servers without a key take any; the library wants one.
    return os.environ.get(KEY) or "none"


def say(error: object, most: int = 300) -> str:
    return one_line(error, os.environ.get(KEY), most)


def refused(url: str, error: Any) -> str:
    return f"{url} refuses the key in {KEY} ({say(error)}): set the right one"
