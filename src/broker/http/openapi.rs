//! The OpenAPI 3.1 document. Paths and bodies come from the handlers; what holds for every call (problems, headers,
//! sign-in) is added here, once, so that no route can forget to say it.

use super::problem::{KINDS, Kind};
use crate::wire::Problem;
use axum::http::StatusCode;
use utoipa::{
    OpenApi, PartialSchema,
    openapi::{
        self, Content, Header, HttpMethod, ObjectBuilder, PathItem, Ref, RefOr, ResponseBuilder,
        path::{
            Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItemBuilder,
        },
        schema::{KnownFormat, SchemaFormat, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Countersign", description = "The broker's API. Every refusal and failure is \
        `application/problem+json` (RFC 9457); every answer carries `Countersign-Sequence`, the length of the log that \
        it was read from or has come to."),
    components(schemas(Problem)),
    security(("bearer" = [])),
    tags((name = "service"), (name = "session"), (name = "overview"), (name = "credentials"), (name = "requests"), (name = "policies"),
        (name = "revocations"), (name = "rotations"), (name = "gateways"), (name = "clients"), (name = "operators"), (name = "events"), (name = "log"),
        (name = "introspection"), (name = "tokens")),
)]
struct Base;

/// The document without paths.
pub(super) fn base() -> openapi::OpenApi {
    Base::openapi()
}

/// The whole document, as JSON.
pub(super) fn finish(mut document: openapi::OpenApi) -> String {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    if let Some(components) = document.components.as_mut() {
        components.add_security_scheme("bearer", bearer);
    }
    document
        .paths
        .paths
        .insert("/log/tile/{path}".to_owned(), tile());
    for (path, item) in &mut document.paths.paths {
        complete(path, item);
    }
    name_operations(&mut document);
    document
        .to_pretty_json()
        .expect("the document is plain data")
}

/// A tile's path has slashes, for which the router has a word and OpenAPI has none.
fn tile() -> PathItem {
    let path = ParameterBuilder::new()
        .name("path")
        .parameter_in(ParameterIn::Path)
        .required(openapi::Required::True)
        .description(Some(
            "`LEVEL/N` or `entries/N`, with `.p/WIDTH` for a partial tile; slashes stay slashes",
        ))
        .schema(Some(String::schema()))
        .build();
    let bytes = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .build();
    let found = ResponseBuilder::new()
        .description("C2SP tlog-tiles")
        .content("application/octet-stream", Content::new(Some(bytes)))
        .build();
    let operation = OperationBuilder::new()
        .tag("log")
        .operation_id(Some("tile"))
        .summary(Some(
            "A tile: hashes, or a bundle of entries (C2SP tlog-tiles).",
        ))
        .parameter(path)
        .response("200", found)
        .build();
    PathItemBuilder::new()
        .operation(HttpMethod::Get, operation)
        .build()
}

/// Handlers are named within their file (`list`, `show`); the document's names are its tag and theirs, `requests_list`.
fn name_operations(document: &mut openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            item.get.as_mut(),
            item.post.as_mut(),
            item.put.as_mut(),
            item.delete.as_mut(),
        ];
        for operation in operations.into_iter().flatten() {
            let tag = operation.tags.as_ref().and_then(|tags| tags.first());
            if let (Some(tag), Some(name)) = (tag, &operation.operation_id)
                && tag != name
            {
                operation.operation_id = Some(format!("{tag}_{name}"));
            }
        }
    }
}

/// POSTs that ask something, or whose repetition is another call: no idempotency key.
const ASKS: [&str; 9] = [
    "/oauth/revoke",
    "/revocations/plan",
    "/lookup",
    "/exposure",
    "/introspect",
    "/simulate",
    "/signing",
    "/login/challenge",
    "/login/ssh",
];

/// GETs that name something in a parameter, which may not be there.
const NAMING: [&str; 2] = ["/v1/revocations", "/v1/revocations/export"];

fn complete(path: &str, item: &mut PathItem) {
    let reads = [item.get.as_mut()].into_iter().flatten();
    for operation in reads {
        finish_operation(path, operation, Sort::Read);
    }
    if let Some(operation) = item.delete.as_mut() {
        finish_operation(path, operation, Sort::Repeatable);
    }
    if let Some(operation) = item.put.as_mut() {
        finish_operation(path, operation, Sort::Report);
    }
    if let Some(operation) = item.post.as_mut() {
        let asks = ASKS.iter().any(|end| path.ends_with(end));
        let sort = if asks { Sort::Ask } else { Sort::Command };
        finish_operation(path, operation, sort);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// A GET.
    Read,
    /// A POST that changes nothing.
    Ask,
    /// A change that is safe to repeat by itself.
    Repeatable,
    /// A POST that changes something.
    Command,
    /// What a gateway says of itself, safe to repeat.
    Report,
}

fn finish_operation(path: &str, operation: &mut Operation, sort: Sort) {
    let open = operation.security.as_ref().is_some_and(|schemes| {
        schemes.iter().all(|scheme| {
            serde_json::to_value(scheme)
                .is_ok_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty))
        })
    });
    let mut statuses = vec![414, 431, 500, 503];
    if !open {
        statuses.extend([400, 401, 403]);
        let naming = sort == Sort::Read && NAMING.contains(&path);
        if naming || path.contains('{') || path.starts_with("/log/") || path.contains("/proof/") {
            statuses.push(404);
        }
    } else if path.contains('{') {
        statuses.push(400);
    }
    if sort != Sort::Read {
        statuses.extend([413, 415]);
    }
    if matches!(sort, Sort::Ask | Sort::Report) {
        statuses.extend([400, 404, 409, 422]);
    }
    if path.ends_with("/login/ssh") {
        // Open to everybody, and not to every signature.
        statuses.extend([401, 403]);
    }
    if matches!(sort, Sort::Command | Sort::Repeatable) {
        statuses.extend([404, 409, 412, 422]);
        // A single account, token or request can be the caller's own object, so a match is always possible.
        add_parameter(operation, if_match());
        let required = sort == Sort::Command && path != "/v1/requests";
        add_parameter(operation, idempotency_key(required));
    }
    let conditional = operation.responses.responses.contains_key("304");
    if conditional {
        add_parameter(operation, if_none_match());
    }
    for status in statuses {
        let status = StatusCode::from_u16(status).expect("written above");
        let held = &mut operation.responses.responses;
        held.entry(status.as_u16().to_string())
            .or_insert_with(|| RefOr::T(problem(status)));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert(
                "Countersign-Sequence".to_owned(),
                RefOr::T(sequence_header()),
            );
            response
                .headers
                .insert("X-Request-Id".to_owned(), RefOr::T(request_id_header()));
        }
    }
    // A body that may be left out must not be demanded.
    let empty = ["/retry", "/claim", "/signing"]
        .iter()
        .any(|end| path.ends_with(end));
    if let Some(RefOr::T(body)) = operation.request_body.as_mut()
        && empty
    {
        body.required = Some(openapi::Required::False);
    }
}

fn add_parameter(operation: &mut Operation, parameter: Parameter) {
    operation
        .parameters
        .get_or_insert_default()
        .push(RefOr::T(parameter));
}

fn header_parameter(name: &str, required: bool, about: &str, pattern: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .pattern(Some(pattern))
        .build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if required {
            openapi::Required::True
        } else {
            openapi::Required::False
        })
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn idempotency_key(required: bool) -> Parameter {
    let about = "Makes the call safe to repeat; 1 to 128 printable characters, best a fresh UUID in quotes. A dry run \
                 needs none.";
    header_parameter(
        "Idempotency-Key",
        required,
        about,
        r#"^("[!#-\[\]-~]{1,128}"|[!#-\[\]-~]{1,128})$"#,
    )
}

fn if_match() -> Parameter {
    let about =
        "The `ETag` of what was looked at: if it has changed since, 412 says what happened.";
    header_parameter("If-Match", false, about, r#"^"[0-9]{1,18}"$"#)
}

fn if_none_match() -> Parameter {
    let about = "The `ETag` of an earlier answer.";
    header_parameter("If-None-Match", false, about, r#"^"[0-9-]{1,40}"$"#)
}

fn sequence_header() -> Header {
    let mut header = Header::new(u64::schema());
    header.description =
        Some("How long the log was that the answer was read from, or has come to".into());
    header
}

fn request_id_header() -> Header {
    let mut header = Header::new(String::schema());
    header.description = Some("Names the call in the broker's log and in problems".into());
    header
}

fn problem(status: StatusCode) -> openapi::Response {
    let of_status = |kind: &&Kind| kind.status == status;
    let about: Vec<_> = KINDS
        .iter()
        .filter(of_status)
        .map(|kind| format!("`{}`: {}", kind.slug, kind.title))
        .collect();
    ResponseBuilder::new()
        .description(about.join("; "))
        .content(
            crate::wire::header::PROBLEM,
            Content::new(Some(Ref::from_schema_name("Problem"))),
        )
        .build()
}
