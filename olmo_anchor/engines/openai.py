"""Any server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, a hosted one.

The key comes from ``OPENAI_API_KEY`` alone. It is read when requests are sent, kept nowhere, and
blotted out of every message.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal
from urllib.parse import urlsplit

from olmo_anchor.engines._servers import Server, Servers
from olmo_anchor.engines.chat import ChatEngine, ChatReply, ChatRequest, Feed, one_line
from olmo_anchor.errors import AnchorError, InputError, WorkFailed

__all__ = ["OpenAIEngine", "Structured"]

Structured = Literal["vllm", "none"]

_KEY = "OPENAI_API_KEY"
_FAULTS = 4
"""After so many in a row it is asked whether the request is to blame, or the server."""
_PING = ChatRequest([{"role": "user", "content": "Say yes."}], max_tokens=1)


class OpenAIEngine(ChatEngine):
    """A model on one or more servers.

    :param urls: base URLs, such as ``http://localhost:8000/v1``.
    :param concurrency: requests in flight, on all of them together.
    :param structured: how a regular expression is sent: in vLLM's field, or not at all.
    :param timeout: seconds for one request; then it is sent again.
    :param give_up: seconds without an answer from any server, after which the work fails.
    :param backoff: seconds of the first wait after a fault; each later one is twice as long.
    :raises InputError: when a URL is none, a server refuses us or has no such model, or the
        ``openai`` package is not installed. A server that does not answer yet is no error.
    """

    def __init__(
        self,
        model: str,
        urls: Sequence[str],
        *,
        concurrency: int = 256,
        structured: Structured = "vllm",
        timeout: float = 300.0,
        give_up: float = 900.0,
        backoff: float = 0.5,
    ) -> None:
        self.model = model
        self.urls = [_checked(url) for url in urls]
        self.concurrency = concurrency
        self.structured = structured
        self.timeout = timeout
        self.give_up = give_up
        self.backoff = backoff
        for url in self.urls:
            self._greet(url)

    def chat(self, requests: Iterable[ChatRequest | None]) -> Iterator[ChatReply]:
        feed = Feed(requests)
        replies: SimpleQueue[ChatReply | AnchorError] = SimpleQueue()
        waiting = 0
        with _running(_Client(self, replies.put)) as submit:
            while True:
                # Twice what the servers get: while these answers are read, the next ones are made.
                for index, request in feed.take(2 * self.concurrency - waiting, waiting):
                    submit(index, request)
                    waiting += 1
                if not waiting:
                    return
                reply = replies.get()
                if isinstance(reply, AnchorError):
                    raise reply
                waiting -= 1
                yield reply

    def _greet(self, url: str) -> None:
        openai = _library()
        client = openai.OpenAI(base_url=url, api_key=_key(), max_retries=0, timeout=10.0)
        with client:
            try:
                known = [model.id for model in client.models.list().data]
            except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
                raise InputError(_refused(url, error)) from None
            except Exception:  # It may be starting still, or have no list: `chat` will see.
                return
        if known and self.model not in known:
            raise InputError(
                f"{url} has no model {self.model!r}; it has {', '.join(sorted(known)[:5])}: "
                "name it with --model"
            )


class _Client:
    """Lives in the event loop: sends requests, again where that helps, and says what came back."""

    def __init__(
        self, engine: OpenAIEngine, tell: Callable[[ChatReply | AnchorError], None]
    ) -> None:
        openai = _library()
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
                    api_key=_key(),
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
            self.tell(WorkFailed(f"{type(error).__name__}: {_line(error)}"))

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
            self.servers.busy(server, _retry_after(error), _line(error))
            return None
        except openai.APIStatusError as error:
            if not (error.status_code in (408, 409) or error.status_code >= 500):
                return self._rejected(index, server, error)
            fault = _Fault(_line(error))
        except (TimeoutError, openai.APITimeoutError):
            fault = _Fault(f"no answer within {self.engine.timeout:g} s")
        except (openai.APIError, ValueError, TypeError, AttributeError, IndexError) as error:
            # Also: what answers is not JSON, or JSON of another kind.
            fault = _Fault(_line(f"{type(error).__name__}: {error}"))
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
            raise self._fatal(_refused(server.url, error))
        line = _line(error)
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
        raise ValueError(f"not a chat completion: {_line(found, 80)!r}")
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


@contextmanager
def _running(client: _Client) -> Iterator[Callable[[int, ChatRequest], None]]:
    """An event loop in a thread of its own: servers are kept busy while the caller works."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="chat", daemon=True)
    thread.start()

    async def stop() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()

    def run(work: Coroutine[Any, Any, None]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop)

    def submit(index: int, request: ChatRequest) -> None:
        run(client.answer(index, request))

    try:
        yield submit
    finally:
        run(stop()).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _library() -> Any:
    try:
        import aiohttp  # noqa: F401, openai's extra
        import openai
    except ImportError as error:
        raise InputError(
            f"chat servers need {error.name}: pip install 'olmo-anchor[annotate]'"
        ) from None
    return openai


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


def _key() -> str:
    # Servers without a key take any; the library wants one.
    return os.environ.get(_KEY) or "none"


def _line(error: object, most: int = 300) -> str:
    return one_line(error, os.environ.get(_KEY), most)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise InputError(
            f"--url {parts.scheme}://{parts.hostname}...: a URL is kept in manifests, so no "
            f"password or key may be in it; put the key into {_KEY}"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"--url {url}: not a URL such as http://localhost:8000/v1")
    return url.rstrip("/")


def _refused(url: str, error: Any) -> str:
    return f"{url} refuses the key in {_KEY} ({_line(error)}): set the right one"
