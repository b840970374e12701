"""Make one self-contained schema of a schema and everything that it refers to.

Place: loader → HERE → insecure, mend, invalid, shape; none of them ever meets a reference to another document.
Rules:
1. Every ``$ref`` of the result is ``#`` or ``#/definitions/<name>``, so recursion stays recursion.
2. Base URIs, ``$id`` and meta-schemas are those of draft-04, -06 and -07, resolved by ``referencing``. Keywords next to
   a ``$ref`` are ignored, except a default and the keywords of this service, which belong to the place and not to the
   target. A reference that leads nowhere when it is resolved against ``$id`` is tried once more relative to the file.
3. An ``$id`` inside a schema counts only while it is the only schema of that name: real materialised schemas carry
   leftovers of one name with different contents, to which nothing refers.
4. The number of references and of schemas is bounded; a cycle of references that reads no value is an error.
Not here: reading files (loader), judging the schema itself (reference).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from referencing import Registry, Specification
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT4, DRAFT7, Schema, SchemaResource

from validators.errors import SchemaError
from validators.load import dialect

MAX_REFERENCES = 1_000
MAX_FAR_NAMES = 10  # Named schemas in other documents: for each of them, referencing walks over the whole document.
MAX_SCHEMAS = 10_000  # Counts the subschemas of the result. The largest of 129 real schemas has 123.

_ABOUT = ("title", "description", "$id", "id", "$schema", "examples")  # The root keeps these even next to a $ref.

_BESIDE = ("default", *dialect.ANNOTATIONS)

Retrieve = Callable[[str], Any]
Check = Callable[[Any, str], None]
Resolver = Any  # referencing does not export the class of its resolvers.


def _put(copy: dict[str, Any], schema: dict[str, Any], keyword: str, key: Any, made: Any) -> None:
    """Put the copy of a child into the copy of its schema, without touching the schema's own maps and lists."""
    if key is None:
        copy[keyword] = made
        return
    if copy[keyword] is schema[keyword]:
        copy[keyword] = schema[keyword].copy()
    copy[keyword][key] = made


def bundle(contents: Any, uri: str, retrieve: Retrieve, check: Check) -> dict[str, Any]:
    """Return a new schema without references to other documents.

    ``retrieve`` reads a document by its URI. ``check`` is called with every document, including ``contents``, before
    any of its keywords are used. Both raise SchemaError, and so does this function.
    """
    return _Bundler(uri, retrieve, check).run(contents)


class _Bundler:
    def __init__(self, uri: str, retrieve: Retrieve, check: Check) -> None:
        self._uri = uri
        self._retrieve = retrieve
        self._check = check
        self._documents: dict[str, SchemaResource] = {}
        self._definitions: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._waiting: list[tuple[str, Any, Resolver, Specification[Schema]]] = []
        self._references = 0
        self._far_names = 0
        self._schemas = 0
        self._origin = ""
        self._draft = DRAFT7  # The draft of a document that names none: that of the document which refers to it.

    def run(self, contents: Any) -> dict[str, Any]:
        root = self._document(self._uri, contents)
        if not isinstance(root.contents, dict):
            raise SchemaError("schema_unavailable", f"{self._uri}: is not an object")
        self._draft = root._specification
        own = urlsplit(root.id() or "")
        self._origin = f"{own.scheme}://{own.netloc}" if own.scheme else ""
        registry: Registry[Any] = Registry(retrieve=self._find)  # type: ignore[call-arg]
        # Crawl once, here. Otherwise referencing crawls for each reference that needs it: 700 names took 8 s.
        resolver = self._crawled(registry.with_resource(self._uri, root)).resolver(self._uri)
        self._root = root.contents
        copy = self._copy(root.contents, resolver, root._specification)
        while self._waiting:
            name, target, resolver, draft = self._waiting.pop()
            is_document = any(target is each.contents for each in self._documents.values())
            self._definitions[name] = self._copy(target, resolver, draft, None if is_document else target)
        return self._finish(root.contents, copy)

    @staticmethod
    def _crawled(registry: Registry[Any]) -> Registry[Any]:
        """Crawl the registry, or return it as it is where the library fails on a form that it does not expect, such as
        a list below ``dependencies``: it then looks for each name when it is asked for."""
        try:
            return registry.crawl()
        except (LookupError, ValueError, TypeError, AttributeError):
            return registry

    def _finish(self, contents: Any, copy: Any) -> dict[str, Any]:
        whole: dict[str, Any] = {key: contents[key] for key in _ABOUT if key in contents}
        whole |= copy
        whole.pop("definitions", None)
        if self._definitions:
            whole["definitions"] = self._definitions
        _refuse_cycles(whole, self._uri)
        return whole

    def _document(self, uri: str, contents: Any) -> SchemaResource:
        if isinstance(contents, bool):
            return DRAFT7.create_resource(contents)
        if not isinstance(contents, dict):
            raise SchemaError("schema_unavailable", f"{uri}: is not a schema")
        draft = dialect.draft_of_schema(contents, uri, self._draft)
        self._check(contents, uri)
        return draft.create_resource(_cleaned(contents, uri, draft))

    def _find(self, uri: str) -> SchemaResource:
        """Return the document at a URI. ``referencing`` calls this for a URI that no document so far has."""
        if uri not in self._documents:
            draft = dialect.draft_of(uri)
            self._documents[uri] = dialect.meta_schema(draft) if draft else self._document(uri, self._read(uri))
        return self._documents[uri]

    def _read(self, uri: str) -> Any:
        if self._origin and uri.startswith(f"{self._origin}/"):  # The base URIs hold the schema's own site.
            try:
                return self._retrieve(uri.removeprefix(self._origin))
            except SchemaError as error:
                if error.error_type == "schema_unavailable":
                    raise
        try:
            return self._retrieve(uri)
        except SchemaError as error:
            if error.error_type == "schema_unavailable":
                raise
            raise NoSuchResource(ref=uri) from error  # type: ignore[call-arg]  # Its class decorator hides the argument.

    def _copy(self, schema: Any, resolver: Resolver, draft: Specification[Schema], start: Any = None) -> Any:
        """Copy a schema with its references made local. Values that hold no schemas are shared, not copied.

        ``start`` is a schema whose own ``$id`` the resolver has already entered.
        """
        self._schemas += 1
        if self._schemas > MAX_SCHEMAS:
            raise SchemaError("schema_unavailable", f"{self._uri}: consists of more than {MAX_SCHEMAS} schemas")
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            beside = {key: schema[key] for key in _BESIDE if key in schema}
            return {"$ref": self._local(schema["$ref"], resolver, draft), **beside}
        if schema is not start:
            resolver = resolver.in_subresource(draft.create_resource(schema))
        hidden = ("$id", "$schema", "id") if draft is DRAFT4 else ("$id", "$schema")
        copy = {key: value for key, value in schema.items() if key not in hidden and key != "definitions"}
        for keyword, key, child in dialect.children(copy | {}):
            made = self._copy(child, resolver, draft, start)
            _put(copy, schema, keyword, key, made)
        return copy

    def _local(self, ref: Any, resolver: Resolver, draft: Specification[Schema]) -> str:
        self._references += 1
        if not isinstance(ref, str):
            raise SchemaError("schema_unavailable", f"{self._uri}: has a $ref that is not text")
        if ref.startswith("./#"):  # Tools of real repositories write references within the same document in this way.
            ref = ref[2:]
        self._far_names += _is_far_name(ref)
        if self._far_names > MAX_FAR_NAMES:
            reason = f"has more than {MAX_FAR_NAMES} references to names (#name) in other documents: use pointers (#/…)"
            raise SchemaError("schema_unavailable", f"{self._uri}: {reason}")
        if self._references > MAX_REFERENCES:
            raise SchemaError("schema_unavailable", f"{self._uri}: has more than {MAX_REFERENCES} references")
        found = self._lookup(ref, resolver)
        target = found.contents
        if not dialect.is_schema(target):
            raise SchemaError("schema_unavailable", f"{self._uri}: $ref {ref!r} leads to a value that is not a schema")
        if target is self._root:
            return "#"
        if id(target) not in self._names:  # Documents are trees: one object is one place in one document.
            name = self._names[id(target)] = self._name(ref)
            self._definitions[name] = True  # This reserves the name; the copy follows.
            if isinstance(target, dict) and "$schema" in target:
                draft = dialect.draft_of_schema(target, ref)
            self._waiting.append((name, target, found.resolver, draft))
        return f"#/definitions/{dialect.escape(self._names[id(target)])}"

    def _lookup(self, ref: str, resolver: Resolver) -> Any:
        try:
            return resolver.lookup(ref)
        except (Unresolvable, LookupError, ValueError, TypeError, AttributeError) as error:
            first = self._lost(ref, error)
        if not isinstance(first.__cause__, Unresolvable):
            raise first
        try:
            return resolver.lookup(urljoin(self._uri, ref))
        except (Unresolvable, LookupError, ValueError, TypeError, AttributeError):
            raise first from None

    def _lost(self, ref: str, error: BaseException) -> SchemaError:
        """Return the error for a lookup that failed; it quotes the error of the file, where there is one."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, SchemaError):
            cause = cause.__cause__
        if cause is not None:
            return cause
        lost = SchemaError("schema_unavailable", f"{self._uri}: $ref {ref!r} leads nowhere ({type(error).__name__})")
        lost.__cause__ = error
        return lost

    def _name(self, ref: str) -> str:
        """Return a unique name for a definition, made of the reference that first led to it."""
        wanted = unquote(ref.removeprefix("#/definitions/")).removesuffix("#") or "definition"
        name, number = wanted, 2
        while name in self._definitions:
            name, number = f"{wanted} ({number})", number + 1
        return name


def _is_far_name(ref: str) -> bool:
    document, _, fragment = ref.partition("#")
    return bool(document and fragment) and not fragment.startswith("/")


def _cleaned(contents: dict[str, Any], uri: str, draft: Specification[Schema]) -> dict[str, Any]:
    """Copy a document without nested ``$schema``, and without a nested ``$id`` that names two different schemas."""
    id_key = "id" if draft is DRAFT4 else "$id"
    named: dict[str, list[dict[str, Any]]] = {}

    def clean(schema: Any, base: str, is_root: bool) -> Any:
        if not isinstance(schema, dict) or "$ref" in schema:
            return schema
        copy = {key: value for key, value in schema.items() if is_root or key != "$schema"}
        name = copy.get(id_key)
        if isinstance(name, str) and not name.startswith("#"):
            base = urljoin(base, name).removesuffix("#")
            named.setdefault(base, []).append(copy)
        for keyword, key, child in dialect.children(schema):
            made = clean(child, base, False)
            _put(copy, schema, keyword, key, made)
        return copy

    try:
        root: dict[str, Any] = clean(contents, uri, True)
    except ValueError as error:  # urljoin raises this for text that only looks like a URI.
        raise SchemaError("schema_unavailable", f"{uri}: has an {id_key} that is not a URI: {error}") from None
    for schemas in named.values():
        if any(each != schemas[0] for each in schemas[1:]):
            for each in schemas:
                if each is not root:
                    del each[id_key]
    return root


def _refuse_cycles(whole: dict[str, Any], uri: str) -> None:
    """Refuse references that judge the same value and lead back to themselves: following them would never end."""
    done: set[str] = set()

    def places(ref: str) -> Iterator[str]:
        target = whole if ref == "#" else target_of(whole, ref)
        waiting = [target]
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, dict):
                continue
            if "$ref" in schema:
                yield schema["$ref"]
            else:
                waiting += [child for keyword, _, child in dialect.children(schema) if keyword in dialect.IN_PLACE]

    for start in ("#", *(f"#/definitions/{dialect.escape(name)}" for name in whole.get("definitions", ()))):
        trail: dict[str, Iterator[str]] = {start: places(start)}
        while start not in done and trail:
            ref = next(reversed(trail))
            following = next(trail[ref], None)
            if following is None:
                done.add(ref)
                del trail[ref]
            elif following in trail:
                raise SchemaError("schema_unavailable", f"{uri}: $ref {following!r} leads back to itself")
            elif following not in done:
                trail[following] = places(following)


def target_of(whole: dict[str, Any], ref: str) -> Any:
    """Return the schema that a local reference of a bundle stands for."""
    if ref == "#":
        return whole
    name = ref.removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")
    return whole["definitions"][name]
