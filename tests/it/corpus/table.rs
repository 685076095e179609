//! The files of the corpus.

use std::{fs, path::Path};

use serde_json::{Map, Value};

/// One file: the cases that one part of the product gets wrong most easily.
pub(super) struct Table {
    /// Whether it needs a server that no other trial uses, since memory and time are measured.
    pub(super) own_server: bool,
    /// Requests that set the stage.
    pub(super) given: Vec<Step>,
    pub(super) cases: Vec<Case>,
    /// The file as it is, to see which names it uses.
    pub(super) text: String,
}

/// One or more requests and what has to come of them.
pub(super) struct Case {
    pub(super) id: String,
    /// What is expected, as a sentence.
    pub(super) says: String,
    /// Whether it waits for a time limit of the server and stores nothing: such cases run beside the others.
    pub(super) stalls: bool,
    pub(super) steps: Vec<Step>,
}

/// One request and what has to come of it.
pub(super) struct Step {
    pub(super) request: Request,
    pub(super) expect: Expectation,
}

/// What is sent.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: Value,
    /// In place of the usual ones of the same name; `null` takes one away, a list sends several.
    pub(super) headers: Map<String, Value>,
    pub(super) body: Option<Value>,
    /// All that is sent, in place of everything above.
    pub(super) raw: Option<Value>,
    /// The pause behind each byte.
    pub(super) pause_ms: Option<u64>,
    /// Whether the head is sent without pauses.
    pub(super) head_at_once: bool,
    /// Whether the sending half is closed behind the last byte.
    pub(super) half_close: bool,
}

/// What has to come back, and what has to be in the database then.
#[derive(Clone)]
pub(super) struct Expectation {
    /// `None`: the connection is closed without an answer.
    pub(super) status: Option<u64>,
    /// Whether the connection may also end without that answer: the parser gave up while the handler was busy.
    pub(super) or_unanswered: bool,
    /// The problem's own code or that of one of its errors.
    pub(super) code: Option<String>,
    /// The place of the error with that code.
    pub(super) pointer: Option<String>,
    /// How the items of a batch end: their status, for rejected ones `rejected:code`. One that stands for many
    /// is written `accepted*999`.
    pub(super) items: Option<Vec<String>>,
    /// How many more events there are than before; fewer when it is negative.
    pub(super) stored: i64,
    /// Members the answer's body has to have, at least.
    pub(super) body: Option<Value>,
    /// Headers it has to have; `*` is any value, `null` none at all.
    pub(super) headers: Map<String, Value>,
    /// Whether it was made by the HTTP parser: it may be empty, and then nothing else is held against it.
    pub(super) by_parser: bool,
    /// Whether the server closes the connection behind it.
    pub(super) closed: bool,
    /// How many answers come on the connection; all are alike.
    pub(super) answers: usize,
    /// Seconds until the answer is there.
    pub(super) within: Option<u64>,
    /// Seconds of processor time the server may spend.
    pub(super) cpu_seconds: Option<u64>,
    /// How much memory the server may take at most while it answers.
    pub(super) memory_mib: Option<u64>,
    /// Names for parts of the answer, by JSON Pointers to them.
    pub(super) save: Map<String, Value>,
    /// What the log must not have.
    pub(super) not_logged: Vec<Value>,
}

/// The tables there are, by the names of their files.
pub(super) fn names() -> Vec<String> {
    let files = fs::read_dir(directory()).expect("the corpus is beside the tests");
    let name = |file: fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned());
    let mut names: Vec<String> = files.filter_map(|file| name(file.expect("it can be listed"))).collect();
    names.sort();
    names
}

/// Reads a table.
pub(super) fn read(name: &str) -> Table {
    let path = directory().join(format!("{name}.json"));
    let text = fs::read_to_string(path).expect("the name is from the directory");
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("table {name}: {error}"));
    let mut members = Members::of(value, name);
    members.text("about");
    let own_server = members.flag("own_server");
    let given = members.list("given").into_iter().map(|step| step_of(Members::of(step, name))).collect();
    let cases: Vec<Case> = members.list("cases").into_iter().map(|case| case_of(case, name)).collect();
    members.end();
    let mut ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "table {name} has {twice:?}");
    let mut steps = cases.iter().flat_map(|case| &case.steps);
    let is_measured = steps.any(|step| step.expect.cpu_seconds.or(step.expect.memory_mib).is_some());
    assert!(own_server || !is_measured, "table {name} measures a server that others use as well");
    Table { own_server, given, cases, text }
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

fn case_of(value: Value, table: &str) -> Case {
    let mut members = Members::of(value, table);
    let id = members.text("id").unwrap_or_else(|| panic!("table {table} has a case without an id"));
    members.at.clone_from(&id);
    let says = members.text("says").unwrap_or_else(|| panic!("{id} says nothing"));
    let stalls = members.flag("stalls");
    _ = (members.text("differs"), members.text("note"));
    let steps = members.list("steps");
    let steps = match steps.is_empty() {
        true => vec![step_of(members)],
        false => {
            members.end();
            steps.into_iter().map(|step| step_of(Members::of(step, &id))).collect()
        }
    };
    Case { id, says, stalls, steps }
}

fn step_of(mut members: Members) -> Step {
    let at = members.at.clone();
    let part = |value: Option<Value>| Members::of(value.unwrap_or_else(|| Value::Object(Map::new())), &at);
    let request = request_of(part(members.take("request")));
    let expect = expectation_of(part(members.take("expect")));
    members.end();
    Step { request, expect }
}

fn request_of(mut members: Members) -> Request {
    let body = members.take("body");
    let method =
        members.text("method").unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    let request = Request {
        method,
        path: members.take("path").unwrap_or_else(|| Value::from("/api/v1/ingestion/events")),
        headers: members.map("headers"),
        body,
        raw: members.take("raw"),
        pause_ms: members.number("pause_ms"),
        head_at_once: members.flag("head_at_once"),
        half_close: members.flag("half_close"),
    };
    members.end();
    request
}

fn expectation_of(mut members: Members) -> Expectation {
    let text_of = |value: Value| value.as_str().expect("items are texts").to_owned();
    let expectation = Expectation {
        status: match members.take("status") {
            Some(Value::Null) => None,
            status => Some(status.map_or(200, |value| value.as_u64().expect("a status is a number"))),
        },
        code: members.text("code"),
        pointer: members.text("pointer"),
        items: members.take("items").map(|items| {
            let Value::Array(items) = items else { panic!("{}: items are a list", members.at) };
            items.into_iter().map(text_of).collect()
        }),
        stored: members.take("stored").map_or(0, |count| count.as_i64().expect("stored is a whole number")),
        body: members.take("body"),
        headers: members.map("headers"),
        or_unanswered: members.flag("or_unanswered"),
        by_parser: members.flag("by_parser"),
        closed: members.flag("closed"),
        answers: members.number("answers").map_or(1, |count| count as usize),
        within: members.number("within"),
        cpu_seconds: members.number("cpu_seconds"),
        memory_mib: members.number("memory_mib"),
        save: members.map("save"),
        not_logged: members.list("not_logged"),
    };
    members.end();
    expectation
}

/// The members of an object that were not read yet.
struct Members {
    at: String,
    left: Map<String, Value>,
}

impl Members {
    fn of(value: Value, at: &str) -> Self {
        let Value::Object(left) = value else { panic!("{at}: {value} is no object") };
        Self { at: at.to_owned(), left }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        Some(value.as_str().unwrap_or_else(|| panic!("{}: {name} is a text", self.at)).to_owned())
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.take(name)?;
        Some(value.as_u64().unwrap_or_else(|| panic!("{}: {name} is a number", self.at)))
    }

    fn flag(&mut self, name: &str) -> bool {
        let value = self.take(name).unwrap_or(Value::Bool(false));
        value.as_bool().unwrap_or_else(|| panic!("{}: {name} is true or false", self.at))
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => panic!("{}: {name} is a list, not {other}", self.at),
        }
    }

    fn map(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => panic!("{}: {name} is an object, not {other}", self.at),
        }
    }

    fn end(self) {
        assert!(self.left.is_empty(), "{}: what are {:?}?", self.at, self.left.keys());
    }
}
