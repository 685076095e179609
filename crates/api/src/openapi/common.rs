//! What holds of many operations alike, written into the document in one place.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::problem::PROBLEM_JSON;

/// No text that a client sends may hold NUL: PostgreSQL can't keep it.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// Completes the document.
///
/// - Where a credential is asked for, two that differ are a 400.
/// - Bodies about anything but events have no members beside those that are listed.
/// - No text holds NUL; in those bodies and in parameters none is empty.
pub(super) fn complete(document: &mut Value) {
    let mut bodies = Vec::new();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if operation.get("security").is_some() {
                refuse_two_credentials(operation);
            }
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let text = if parameter["in"] == "header" { Text::Any } else { Text::NotEmpty };
                complete_text(parameter.get_mut("schema"), text);
            }
            let is_events = path.ends_with("/ingestion/events") || path.ends_with("/events/batch");
            let contents = operation.pointer("/requestBody/content").and_then(Value::as_object);
            for content in contents.into_iter().flat_map(Map::values) {
                bodies.push((is_events, content["schema"].clone()));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (is_events, body) in bodies {
        complete_body(document, &body, is_events, &mut seen);
    }
    open_where_extended(document);
}

/// An answer may have all members of a body and others beside them. As a part of it, the body's schema must not be closed.
fn open_where_extended(document: &mut Value) {
    let Some(components) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let closed = components.clone();
    for component in components.values_mut() {
        for part in component.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = part["$ref"].as_str().and_then(|to| to.strip_prefix("#/components/schemas/"));
            if let Some(body) = name.and_then(|name| closed.get(name)) {
                *part = body.clone();
                part.as_object_mut().map(|members| members.remove("additionalProperties"));
            }
        }
    }
}

/// Whether a text may be empty.
#[derive(Clone, Copy)]
enum Text {
    Any,
    NotEmpty,
}

fn refuse_two_credentials(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let media_type = PROBLEM_JSON;
    let media_type = media_type.to_str().unwrap_or_default();
    responses.entry("400").or_insert_with(|| {
        json!({
            "description": "two credentials that differ",
            "content": {media_type: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        })
    });
}

/// Completes the components that a schema leads to, each once.
fn complete_body(document: &mut Value, schema: &Value, is_events: bool, seen: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            let component = members.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
            if let Some(pointer) = component.filter(|pointer| seen.insert((*pointer).to_owned())) {
                let Some(component) = document.pointer_mut(pointer) else { return };
                complete_object(component, is_events);
                let component = component.clone();
                complete_body(document, &component, is_events, seen);
            }
            members.values().for_each(|member| complete_body(document, member, is_events, seen));
        }
        Value::Array(items) => items.iter().for_each(|item| complete_body(document, item, is_events, seen)),
        _ => {}
    }
}

fn complete_object(schema: &mut Value, is_events: bool) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let text = if is_events { Text::Any } else { Text::NotEmpty };
    for property in properties.values_mut() {
        complete_text(property.get_mut("items"), text);
        complete_text(Some(property), text);
    }
    if !is_events {
        schema["additionalProperties"] = json!(false);
    }
}

fn complete_text(schema: Option<&mut Value>, text: Text) {
    let Some(schema) = schema.and_then(Value::as_object_mut) else { return };
    let is_text = match schema.get("type") {
        Some(Value::String(one)) => one == "string",
        Some(Value::Array(several)) => several.iter().any(|one| one == "string"),
        _ => false,
    };
    if is_text
        && ["enum", "format", "pattern"].iter().all(|known| schema.get(*known).is_none_or(Value::is_null))
    {
        schema.insert("pattern".to_owned(), json!(WITHOUT_NUL));
        if let Text::NotEmpty = text {
            schema.entry("minLength").or_insert_with(|| json!(1));
        }
    }
}
