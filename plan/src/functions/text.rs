//! Rows of text, patterns and regular expressions.
//!
//! What follows a locale only beyond ASCII (case, character classes) asks for a deterministic collation; the engine refuses
//! other values at run time. Collations under which ASCII itself behaves differently (Turkish, Azeri) must be handed in as
//! [`crate::ir::Collation::Nondeterministic`].

use super::Needs::{ByteOrder, Deterministic};
use super::Row;
use crate::ir::Session;
use crate::types::{PgType, oid};

const fn eq(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).needs(Deterministic)
}

const fn ord(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).needs(ByteOrder)
}

/// The function sees a bpchar with its padding: its declared length must be known.
const fn padded(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).needs(Deterministic).when(has_length)
}

fn has_length(args: &[PgType], _: &Session) -> Result<(), String> {
    match args.first() {
        Some(ty) if ty.base == oid::BPCHAR && ty.char_length().is_none() => Err("a character value without a declared length".into()),
        _ => Ok(()),
    }
}

pub(super) const ROWS: &[Row] = &[
    // Comparison.
    eq(67, "texteq(text,text)"),
    eq(157, "textne(text,text)"),
    eq(1048, "bpchareq(character,character)"),
    eq(1053, "bpcharne(character,character)"),
    eq(62, "nameeq(name,name)"),
    eq(659, "namene(name,name)"),
    eq(240, "nameeqtext(name,text)"),
    eq(245, "namenetext(name,text)"),
    eq(247, "texteqname(text,name)"),
    eq(252, "textnename(text,name)"),
    ord(740, "text_lt(text,text)"),
    ord(741, "text_le(text,text)"),
    ord(742, "text_gt(text,text)"),
    ord(743, "text_ge(text,text)"),
    ord(1049, "bpcharlt(character,character)"),
    ord(1050, "bpcharle(character,character)"),
    ord(1051, "bpchargt(character,character)"),
    ord(1052, "bpcharge(character,character)"),
    ord(655, "namelt(name,name)"),
    ord(656, "namele(name,name)"),
    ord(657, "namegt(name,name)"),
    ord(658, "namege(name,name)"),
    ord(241, "namelttext(name,text)"),
    ord(242, "nameletext(name,text)"),
    ord(244, "namegttext(name,text)"),
    ord(243, "namegetext(name,text)"),
    ord(248, "textltname(text,name)"),
    ord(249, "textlename(text,name)"),
    ord(251, "textgtname(text,name)"),
    ord(250, "textgename(text,name)"),
    // Byte order under any collation.
    eq(2160, "text_pattern_lt(text,text)"),
    eq(2161, "text_pattern_le(text,text)"),
    eq(2164, "text_pattern_gt(text,text)"),
    eq(2163, "text_pattern_ge(text,text)"),
    eq(2174, "bpchar_pattern_lt(character,character)"),
    eq(2175, "bpchar_pattern_le(character,character)"),
    eq(2178, "bpchar_pattern_gt(character,character)"),
    eq(2177, "bpchar_pattern_ge(character,character)"),
    // LIKE.
    eq(850, "textlike(text,text)"),
    eq(851, "textnlike(text,text)"),
    eq(1569, "like(text,text)"),
    eq(1570, "notlike(text,text)"),
    padded(1631, "bpcharlike(character,text)"),
    padded(1632, "bpcharnlike(character,text)"),
    eq(858, "namelike(name,text)"),
    eq(859, "namenlike(name,text)"),
    eq(1571, "like(name,text)"),
    eq(1572, "notlike(name,text)"),
    eq(1633, "texticlike(text,text)"),
    eq(1634, "texticnlike(text,text)"),
    padded(1660, "bpchariclike(character,text)"),
    padded(1661, "bpcharicnlike(character,text)"),
    eq(1635, "nameiclike(name,text)"),
    eq(1636, "nameicnlike(name,text)"),
    Row::scalar(1637, "like_escape(text,text)"),
    // Case.
    eq(870, "lower(text)"),
    eq(871, "upper(text)"),
    // ICU's title case is not that of ASCII letters alone.
    eq(872, "initcap(text)").needs(super::Needs::CCase).when(c_ctype),
    // Lengths and pieces.
    Row::scalar(1257, "textlen(text)"),
    Row::scalar(1317, "length(text)"),
    Row::scalar(1381, "char_length(text)"),
    Row::scalar(1369, "character_length(text)"),
    Row::scalar(1318, "length(character)"),
    Row::scalar(1372, "char_length(character)"),
    Row::scalar(1367, "character_length(character)"),
    Row::scalar(1374, "octet_length(text)"),
    padded(1375, "octet_length(character)"),
    Row::scalar(1811, "bit_length(text)"),
    Row::scalar(877, "substr(text,integer,integer)"),
    Row::scalar(936, "substring(text,integer,integer)"),
    Row::scalar(883, "substr(text,integer)"),
    Row::scalar(937, "substring(text,integer)"),
    Row::scalar(3060, "left(text,integer)"),
    Row::scalar(3061, "right(text,integer)"),
    Row::scalar(1258, "textcat(text,text)"),
    // Casts.
    Row::scalar(401, "text(character)"),
    Row::scalar(406, "text(name)"),
    Row::scalar(1401, "varchar(name)"),
    Row::scalar(407, "name(text)"),
    Row::scalar(1400, "name(character varying)"),
    Row::scalar(409, "name(character)"),
    Row::scalar(668, "bpchar(character,integer,boolean)"),
    Row::scalar(669, "varchar(character varying,integer,boolean)"),
];

fn c_ctype(_: &[PgType], session: &Session) -> Result<(), String> {
    if session.ctype_is_c { Ok(()) } else { Err("depends on the locale of the database".into()) }
}
