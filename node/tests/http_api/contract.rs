//! `api.yaml`, and the check that a request and its answer keep to it, which every request of these tests goes
//! through. What is not here: whether an answer is the right one of those that the contract allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::{Method, Uri};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::schema::{self, Whose, resolve};
use crate::support::Answer;

/// The contract of this checkout.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let root = serde_saphyr::from_str(include_str!("../../../api.yaml")).expect("api.yaml is YAML");
    Contract::new(root)
});

/// What metrics call a request that no operation takes.
const NO_OPERATION: &str = "unknown";

/// What was asked for, as far as the contract speaks of it.
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub content_type: Option<String>,
    /// As far as the server read it.
    pub body: Vec<u8>,
}

/// A contract that is ready to be held against answers.
pub struct Contract {
    pub root: Value,
    pub paths: Vec<Path>,
    /// What is answered where there is no operation.
    elsewhere: Listed,
}

/// A path with its operations by method.
pub struct Path {
    pub template: String,
    operations: BTreeMap<String, Operation>,
    /// Whether there are servers that do not have it.
    optional: bool,
}

struct Operation {
    id: String,
    /// None: any.
    query: Option<BTreeSet<String>>,
    /// The body's schemas by media type; none: no body.
    bodies: BTreeMap<String, Validator>,
    answers: BTreeMap<u16, Listed>,
}

/// What belongs to one status of an operation.
struct Listed {
    codes: BTreeSet<String>,
    headers: Vec<Header>,
    bodies: BTreeMap<String, Validator>,
}

struct Header {
    name: String,
    required: bool,
    is_integer: bool,
    validator: Validator,
}

impl Contract {
    fn new(root: Value) -> Self {
        let elsewhere = json!({
            "x-problem-codes": ["ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"],
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        let paths = members(&root["paths"]).flat_map(|(path, item)| Path::all(&root, path, item)).collect();
        Self { elsewhere: Listed::new(&root, &elsewhere), paths, root }
    }

    /// Every operation with each of its statuses and, with a problem, each code.
    pub fn combinations(&self) -> BTreeSet<String> {
        let operations = self.paths.iter().flat_map(|path| path.operations.values());
        let statuses = operations
            .flat_map(|operation| operation.answers.iter().map(move |(status, l)| (operation, *status, l)));
        statuses
            .flat_map(|(operation, status, listed)| {
                let codes = listed.codes.iter().map(|code| Some(code.as_str()));
                let codes = if listed.codes.is_empty() { vec![None] } else { codes.collect() };
                codes.into_iter().map(move |code| combination(&operation.id, status, code))
            })
            .collect()
    }

    /// The combination of operation, status and code that `answer` is one of; none outside of operations.
    ///
    /// # Panics
    /// When the two break the contract.
    pub fn check(&self, asked: &Asked, answer: &Answer) -> Option<String> {
        self.verdict(asked, answer).unwrap_or_else(|breach| panic!("{breach}"))
    }

    /// As [`Contract::check`]; a breach as one sentence.
    pub fn verdict(&self, asked: &Asked, answer: &Answer) -> Result<Option<String>, String> {
        let path = self.paths.iter().find(|path| path.matches(asked.uri.path()));
        // The router answers a HEAD by what serves GET.
        let method = if asked.method == Method::HEAD { "GET" } else { asked.method.as_str() };
        let operation = path.and_then(|path| path.operations.get(method));
        // A path that some servers do not have is none of the router's there.
        let is_missing = answer.status == 404 && path.is_some_and(|path| path.optional);
        let id = operation.filter(|_| !is_missing).map_or(NO_OPERATION, |operation| operation.id.as_str());
        let code = match (path, operation) {
            _ if answer.operation != id => Err(format!("metrics call the operation {}", answer.operation)),
            (_, Some(operation)) => operation.verdict(asked, answer),
            (None, None) => self.refusal(answer, 404, "ROUTE_NOT_FOUND"),
            (Some(_), None) if is_missing => self.refusal(answer, 404, "ROUTE_NOT_FOUND"),
            (Some(path), None) => self
                .refusal(answer, 405, "METHOD_NOT_ALLOWED")
                .and_then(|code| path.allow(answer).map(|()| code)),
        };
        let status = answer.status.as_u16();
        let at =
            |fault: String| format!("{id} ({} {}) answered {status}, but {fault}", asked.method, asked.uri);
        let code = code.map_err(at)?;
        Ok(operation.map(|operation| combination(&operation.id, status, code.as_deref())))
    }

    /// Holds `answer` to be the problem that stands where there is no operation.
    fn refusal(&self, answer: &Answer, status: u16, code: &str) -> Result<Option<String>, String> {
        if answer.status != status {
            return Err(format!("{status} {code} is what the contract says, as it lists no such operation"));
        }
        let found = self.elsewhere.verdict(answer, false)?;
        if found.as_deref() == Some(code) { Ok(found) } else { Err(format!("at #/code: it must be {code}")) }
    }
}

impl Path {
    /// The path under each of its bases.
    fn all(root: &Value, path: &str, item: &Value) -> Vec<Self> {
        let servers = item.get("servers").unwrap_or(&root["servers"]).as_array().expect("servers");
        let bases = servers.iter().map(|server| server["url"].as_str().unwrap().trim_end_matches('/'));
        bases.map(|base| Self::new(root, format!("{base}{path}"), item)).collect()
    }

    fn new(root: &Value, template: String, item: &Value) -> Self {
        const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let listed = METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
        let operations: BTreeMap<_, _> = listed
            .map(|(method, value)| (method.to_uppercase(), Operation::new(root, item, value)))
            .collect();
        let optional = listed_tags(item).any(|tag| tag == "dev");
        Self { template, operations, optional }
    }

    /// Whether `path`, as it came, is one of these: a parameter is a segment of any bytes but none.
    fn matches(&self, path: &str) -> bool {
        let (mut wanted, mut found) = (self.template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == found => {}
                (Some(wanted), Some(found)) if wanted.starts_with('{') && !found.is_empty() => {}
                _ => return false,
            }
        }
    }

    /// Holds the `Allow` of a 405 to the methods that there are.
    fn allow(&self, answer: &Answer) -> Result<(), String> {
        let mut methods: BTreeSet<_> = self.operations.keys().map(String::as_str).collect();
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        let allow = answer.header("allow");
        let told: BTreeSet<_> = allow.split(',').map(str::trim).collect();
        if told == methods { Ok(()) } else { Err(format!("Allow is \"{allow}\" and must be {methods:?}")) }
    }
}

impl Operation {
    fn new(root: &Value, item: &Value, operation: &Value) -> Self {
        let parameters = [item, operation].into_iter().filter_map(|value| value["parameters"].as_array());
        let parameters = parameters.flatten().map(|parameter| resolve(root, parameter));
        let query = parameters.filter(|parameter| parameter["in"] == "query");
        let query = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
        let takes_any = operation["tags"].as_array().is_some_and(|tags| tags.contains(&json!("health")));
        let body = operation.get("requestBody").map(|body| resolve(root, body));
        let answers = members(&operation["responses"]).map(|(status, answer)| {
            (status.parse().expect("a status"), Listed::new(root, resolve(root, answer)))
        });
        Self {
            id: operation["operationId"].as_str().expect("an operationId").to_owned(),
            query: (!takes_any).then_some(query),
            bodies: body.map(|body| bodies(root, body, Whose::Request)).unwrap_or_default(),
            answers: answers.collect(),
        }
    }

    fn verdict(&self, asked: &Asked, answer: &Answer) -> Result<Option<String>, String> {
        let listed = self.answers.get(&answer.status.as_u16()).ok_or("the status is not listed")?;
        let code = listed.verdict(answer, asked.method == Method::HEAD)?;
        if answer.status.is_success() {
            self.query_fault(asked)?;
            self.body_fault(asked)?;
        }
        Ok(code)
    }

    /// Only for a request that was taken: what the contract does not list must not have been.
    fn query_fault(&self, asked: &Asked) -> Result<(), String> {
        let Some(known) = &self.query else { return Ok(()) };
        let pairs = asked.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut names = pairs.map(|pair| pair.split('=').next().unwrap_or_default());
        let unknown = names.find(|name| !known.contains(*name));
        unknown.map_or(Ok(()), |name| Err(format!("the query parameter {name} is not listed")))
    }

    /// As [`Operation::query_fault`], for the body.
    fn body_fault(&self, asked: &Asked) -> Result<(), String> {
        if self.bodies.is_empty() {
            let text = asked.body.trim_ascii();
            let nothing = text.is_empty() || text == b"{}";
            return if nothing { Ok(()) } else { Err("the operation takes no body".to_owned()) };
        }
        let sent = asked.content_type.as_deref().map_or_else(|| "application/json".to_owned(), essence);
        // The contract's own words: another `+json` may stand for JSON, unless it names a patch.
        let is_json = sent.ends_with("+json") && !sent.contains("patch");
        let validator =
            self.bodies.get(&sent).or_else(|| self.bodies.get("application/json").filter(|_| is_json));
        let validator = validator.ok_or_else(|| format!("the request's media type {sent} is not listed"))?;
        let value = parse(&asked.body).ok_or("the request's body is not JSON")?;
        let fault = schema::fault(validator, &value);
        fault.map_or(Ok(()), |fault| Err(format!("the request's body must have been refused {fault}")))
    }
}

impl Listed {
    fn new(root: &Value, answer: &Value) -> Self {
        let codes = answer["x-problem-codes"].as_array().into_iter().flatten();
        let listed = Self {
            codes: codes.map(|code| code.as_str().unwrap().to_owned()).collect(),
            headers: members(&answer["headers"])
                .map(|(name, value)| Header::new(root, name, value))
                .collect(),
            bodies: bodies(root, answer, Whose::Answer),
        };
        let is_problem = listed.bodies.contains_key("application/problem+json");
        assert_eq!(is_problem, !listed.codes.is_empty(), "a problem lists its codes: {answer}");
        listed
    }

    /// The problem's code, if it is one. `of_head`: the body is left out.
    fn verdict(&self, answer: &Answer, of_head: bool) -> Result<Option<String>, String> {
        self.headers.iter().try_for_each(|header| header.verdict(answer))?;
        let found = essence(answer.header("content-type"));
        if self.bodies.is_empty() || of_head {
            let nothing = answer.bytes.is_empty() && (of_head || found.is_empty());
            return if nothing { Ok(None) } else { Err("a body stands where none must be".to_owned()) };
        }
        let validator = self.bodies.get(&found);
        let validator = validator.ok_or_else(|| format!("the content type \"{found}\" is not listed"))?;
        let value = if found.ends_with("json") {
            parse(&answer.bytes).ok_or("the body is not JSON")?
        } else {
            Value::from(std::str::from_utf8(&answer.bytes).map_err(|_| "the body is not UTF-8")?)
        };
        if let Some(fault) = schema::fault(validator, &value) {
            return Err(fault);
        }
        if self.codes.is_empty() {
            return Ok(None);
        }
        let code = value["code"].as_str().unwrap_or_default();
        if value["status"] != answer.status.as_u16() {
            return Err(format!("at #/status: {} is another status", value["status"]));
        }
        if self.codes.contains(code) { Ok(Some(code.to_owned())) } else { Err(self.wrong_code(code)) }
    }

    fn wrong_code(&self, code: &str) -> String {
        format!("at #/code: {code} is none of this status's codes {:?}", self.codes)
    }
}

impl Header {
    fn new(root: &Value, name: &str, header: &Value) -> Self {
        let header = resolve(root, header);
        Self {
            name: name.to_owned(),
            required: header["required"] == true,
            is_integer: resolve(root, &header["schema"])["type"] == "integer",
            validator: schema::compile(root, &header["schema"], Whose::Answer),
        }
    }

    fn verdict(&self, answer: &Answer) -> Result<(), String> {
        let name = &self.name;
        let Some(value) = answer.headers.get(name) else {
            return if self.required { Err(format!("the header {name} is missing")) } else { Ok(()) };
        };
        let text = value.to_str().map_err(|_| format!("the header {name} is not ASCII"))?;
        let number = text.parse::<u64>().ok().filter(|_| self.is_integer).map(Value::from);
        let fault = schema::fault(&self.validator, &number.unwrap_or_else(|| Value::from(text)));
        fault.map_or(Ok(()), |fault| Err(format!("the header {name} is wrong {fault}")))
    }
}

fn combination(operation: &str, status: u16, code: Option<&str>) -> String {
    format!("{operation} {status} {}", code.unwrap_or_default()).trim_end().to_owned()
}

/// An object's members; nothing has none.
fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn listed_tags(item: &Value) -> impl Iterator<Item = &str> {
    let operations = members(item).filter_map(|(_, operation)| operation.get("tags")?.as_array());
    operations.flatten().filter_map(Value::as_str)
}

/// The schemas of a body by media type.
fn bodies(root: &Value, of: &Value, whose: Whose) -> BTreeMap<String, Validator> {
    let content = members(&of["content"]);
    content.map(|(media, value)| (media.to_owned(), schema::compile(root, &value["schema"], whose))).collect()
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What JSON `bytes` are. An escape that is half of a surrogate pair is JSON, but no text of Rust: another
/// character stands for it, which no schema tells apart.
fn parse(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let text = std::str::from_utf8(bytes).ok()?.replace(r"\uD", r"\ud");
        let mut parts = text.split(r"\ud");
        let first = parts.next()?.to_owned();
        let whole = parts.fold(first, |whole, part| whole + r"\ufffd" + part.get(3..).unwrap_or(part));
        serde_json::from_str(&whole).ok()
    })
}
