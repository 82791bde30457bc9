//! A table a message: which field has which kind and how many of it there may be.
//!
//! `wire::strict` walks received bytes along these tables before prost sees them. A repeated field names its cap in the
//! schema: its comment begins with `At most N.`, or nothing is generated.

use std::fmt::Write as _;

use protox::prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use crate::codegen::part_of;

type Error = Box<dyn std::error::Error>;

/// `wire::limits::FIELDS_MAX`: the scanner counts that many.
const FIELDS_MAX: usize = 64;

/// The text of `generated/shapes.rs`.
pub(crate) fn generate(set: &FileDescriptorSet) -> Result<String, Error> {
    let mut out = String::from(
        "//! Generated from `proto/` by `cargo xtask codegen`. Do not edit.\n\n\
         use crate::strict::{Field, Kind, Shape};\n",
    );
    for file in &set.file {
        for (index, message) in file.message_type.iter().enumerate() {
            shape(&mut out, file, &[4, i32::try_from(index)?], message)?;
        }
    }
    Ok(out)
}

fn shape(
    out: &mut String,
    file: &FileDescriptorProto,
    path: &[i32],
    message: &DescriptorProto,
) -> Result<(), Error> {
    if !message.nested_type.is_empty() {
        return Err(
            format!("{}: nested messages and maps are not used here", message.name()).into()
        );
    }
    if message.field.len() > FIELDS_MAX {
        return Err(format!("{}: more than {FIELDS_MAX} fields", message.name()).into());
    }
    let name = constant(file.package(), message.name());
    writeln!(out, "\n/// `{}.{}`.", file.package(), message.name())?;
    writeln!(out, "pub(crate) static {name}: Shape = Shape {{\n    fields: &[")?;
    for (index, field) in message.field.iter().enumerate() {
        let path = [path, &[2, i32::try_from(index)?]].concat();
        let max = cap(file, &path, field)?;
        let kind = kind(field)?;
        // An `optional` field is a oneof of its own to protobuf; that one says nothing.
        let one_of = field.oneof_index.filter(|_| !field.proto3_optional());
        writeln!(
            out,
            "        Field {{ number: {}, kind: {kind}, max: {max}, one_of: {one_of:?} }},",
            field.number()
        )?;
    }
    writeln!(out, "    ],\n}};")?;
    Ok(())
}

/// How often the field may stand in one message: once, or the `At most N.` of its comment.
fn cap(
    file: &FileDescriptorProto,
    path: &[i32],
    field: &FieldDescriptorProto,
) -> Result<String, Error> {
    if field.label() != Label::Repeated {
        return Ok("None".into());
    }
    file.source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .and_then(|location| location.leading_comments().trim().strip_prefix("At most "))
        .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok())
        .map(|max| format!("Some({max})"))
        .ok_or_else(|| {
            format!("{}: the comment of a repeated field begins `At most N.`", field.name()).into()
        })
}

fn kind(field: &FieldDescriptorProto) -> Result<String, Error> {
    let packed = field.label() == Label::Repeated;
    Ok(match field.r#type() {
        Type::Bool if !packed => "Kind::Bool".into(),
        Type::Uint32 if !packed => "Kind::U32".into(),
        Type::Enum if !packed => "Kind::U32".into(),
        Type::Uint64 if packed => "Kind::PackedU64".into(),
        Type::Uint64 => "Kind::U64".into(),
        Type::Bytes => "Kind::Bytes".into(),
        Type::String => "Kind::Text".into(),
        Type::Message => {
            let full = field.type_name().trim_start_matches('.');
            let (package, name) = full.rsplit_once('.').unwrap_or(("", full));
            format!("Kind::Message(&{})", constant(package, name))
        }
        other => return Err(format!("{}: {other:?} is not used here", field.name()).into()),
    })
}

/// `CONTENT_PAYMENT_REQUEST` of `chopmark.content.v1` and `PaymentRequest`.
fn constant(package: &str, message: &str) -> String {
    let mut name = part_of(package).to_uppercase();
    for letter in message.chars() {
        if letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
