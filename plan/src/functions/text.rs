//! Rows of text, patterns and regular expressions.
//!
//! What follows a locale only beyond ASCII (case, character classes) asks for a deterministic collation; the engine refuses
//! other values at run time if it cannot ask the locale. Collations under which ASCII itself behaves differently (Turkish, Azeri) must be handed in as
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
    // Of a text that was cast to bit(n); in a plan, with the text and n.
    Row::scalar(2076, "int8(bit)"),
    Row::scalar(1684, "int4(bit)"),
    // Case.
    eq(870, "lower(text)"),
    eq(871, "upper(text)"),
    // ICU's title case is not that of ASCII letters alone.
    Row::scalar(872, "initcap(text)").needs(super::Needs::Ctype),
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
    // Trimming, padding and rebuilding.
    Row::scalar(884, "btrim(text,text)"),
    Row::scalar(875, "ltrim(text,text)"),
    Row::scalar(876, "rtrim(text,text)"),
    Row::scalar(885, "btrim(text)"),
    Row::scalar(881, "ltrim(text)"),
    Row::scalar(882, "rtrim(text)"),
    Row::scalar(873, "lpad(text,integer,text)"),
    Row::scalar(874, "rpad(text,integer,text)"),
    Row::scalar(879, "lpad(text,integer)"),
    Row::scalar(880, "rpad(text,integer)"),
    Row::scalar(1622, "repeat(text,integer)"),
    Row::scalar(3062, "reverse(text)"),
    Row::scalar(878, "translate(text,text,text)"),
    Row::scalar(1404, "overlay(text,text,integer,integer)"),
    Row::scalar(1405, "overlay(text,text,integer)"),
    Row::scalar(1620, "ascii(text)"),
    Row::scalar(1621, "chr(integer)"),
    // Fixed strings.
    eq(868, "strpos(text,text)"),
    eq(849, "position(text,text)"),
    eq(2087, "replace(text,text,text)"),
    eq(2088, "split_part(text,text,integer)"),
    eq(3696, "starts_with(text,text)"),
    // Regular expressions.
    eq(1254, "textregexeq(text,text)"),
    eq(1256, "textregexne(text,text)"),
    eq(1238, "texticregexeq(text,text)"),
    eq(1239, "texticregexne(text,text)"),
    padded(1658, "bpcharregexeq(character,text)"),
    padded(1659, "bpcharregexne(character,text)"),
    padded(1656, "bpcharicregexeq(character,text)"),
    padded(1657, "bpcharicregexne(character,text)"),
    eq(79, "nameregexeq(name,text)"),
    eq(1252, "nameregexne(name,text)"),
    eq(1240, "nameicregexeq(name,text)"),
    eq(1241, "nameicregexne(name,text)"),
    eq(6263, "regexp_like(text,text)"),
    eq(6264, "regexp_like(text,text,text)"),
    eq(2284, "regexp_replace(text,text,text)"),
    eq(2285, "regexp_replace(text,text,text,text)"),
    eq(6251, "regexp_replace(text,text,text,integer,integer,text)"),
    eq(6252, "regexp_replace(text,text,text,integer,integer)"),
    eq(6253, "regexp_replace(text,text,text,integer)"),
    eq(2073, "substring(text,text)"),
    eq(3396, "regexp_match(text,text)"),
    eq(3397, "regexp_match(text,text,text)"),
    eq(6254, "regexp_count(text,text)"),
    eq(6255, "regexp_count(text,text,integer)"),
    eq(6256, "regexp_count(text,text,integer,text)"),
    eq(6257, "regexp_instr(text,text)"),
    eq(6258, "regexp_instr(text,text,integer)"),
    eq(6259, "regexp_instr(text,text,integer,integer)"),
    eq(6260, "regexp_instr(text,text,integer,integer,integer)"),
    eq(6261, "regexp_instr(text,text,integer,integer,integer,text)"),
    eq(6262, "regexp_instr(text,text,integer,integer,integer,text,integer)"),
    eq(6265, "regexp_substr(text,text)"),
    eq(6266, "regexp_substr(text,text,integer)"),
    eq(6267, "regexp_substr(text,text,integer,integer)"),
    eq(6268, "regexp_substr(text,text,integer,integer,text)"),
    eq(6269, "regexp_substr(text,text,integer,integer,text,integer)"),
    eq(2767, "regexp_split_to_array(text,text)"),
    eq(2768, "regexp_split_to_array(text,text,text)"),
    Row::scalar(4350, "normalize(text,text)"),
    Row::scalar(4351, "is_normalized(text,text)"),
    // Digests and encodings.
    Row::scalar(2311, "md5(text)"),
    Row::scalar(2321, "md5(bytea)"),
    Row::scalar(3419, "sha224(bytea)"),
    Row::scalar(3420, "sha256(bytea)"),
    Row::scalar(3421, "sha384(bytea)"),
    Row::scalar(3422, "sha512(bytea)"),
    Row::scalar(1946, "encode(bytea,text)"),
    Row::scalar(1947, "decode(text,text)"),
    Row::scalar(1714, "convert_from(bytea,name)"),
    Row::scalar(1717, "convert_to(text,name)"),
    Row::scalar(2089, "to_hex(integer)"),
    Row::scalar(2090, "to_hex(bigint)"),
    // Printing values.
    Row::scalar(1772, "to_char(numeric,text)").late(),
    Row::scalar(1773, "to_char(integer,text)").late(),
    Row::scalar(1774, "to_char(bigint,text)").late(),
    Row::scalar(1776, "to_char(float8,text)").late(),
    Row::scalar(1777, "to_number(text,text)").late(),
    Row::scalar(438, "num_nulls(\"any\")"),
    Row::scalar(440, "num_nonnulls(\"any\")"),
    Row::scalar(3058, "concat(\"any\")").when(printed),
    Row::scalar(3059, "concat_ws(text,\"any\")").when(printed),
    Row::scalar(3539, "format(text,\"any\")").when(formatted),
    Row::scalar(3540, "format(text)"),
    Row::scalar(1282, "quote_ident(text)").when(quoted_as_needed),
    Row::scalar(1283, "quote_literal(text)"),
    Row::scalar(1289, "quote_nullable(text)"),
    eq(394, "string_to_array(text,text)"),
    eq(376, "string_to_array(text,text,text)"),
    Row::scalar(395, "array_to_string(anyarray,text)").when(printed_elements),
    Row::scalar(384, "array_to_string(anyarray,text,text)").when(printed_elements),
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

/// Types whose output depends on no setting.
fn is_printed(ty: &PgType) -> bool {
    match ty.base {
        oid::BPCHAR => ty.char_length().is_some(),
        oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::UUID | oid::UNKNOWN => true,
        _ => ty.is_text_like(),
    }
}

fn quoted_as_needed(_: &[PgType], session: &Session) -> Result<(), String> {
    if session.quote_all_identifiers { Err("quote_all_identifiers is on".into()) } else { Ok(()) }
}

fn formatted(args: &[PgType], session: &Session) -> Result<(), String> {
    quoted_as_needed(args, session).and_then(|()| printed(args, session))
}

fn printed(args: &[PgType], _: &Session) -> Result<(), String> {
    // Those that print as they are cast to text, too; a VARIADIC array is none of them.
    let cast =
        |ty: &PgType| matches!(ty.base, oid::NUMERIC | oid::FLOAT4 | oid::FLOAT8 | oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL);
    match args.iter().find(|ty| !is_printed(ty) && !cast(ty)) {
        Some(ty) => Err(format!("argument of type {}", ty.oid)),
        None => Ok(()),
    }
}

fn printed_elements(args: &[PgType], _: &Session) -> Result<(), String> {
    match args.first().and_then(PgType::element) {
        Some(element) if element.base != oid::BPCHAR && element.base != oid::BYTEA => Ok(()),
        _ => Err("elements of a type that is not printed here".into()),
    }
}
