//! The shape of a table as a mirror holds it: its columns and its key.
//!
//! Works under an ordinary and under a historic snapshot, so that a decoded change can be compared with what the mirror was made for.

use crate::translate::types::stored_as;
use crate::tuple::RowBuilder;
use pgrx::pg_sys;
use weir_plan::manifest::{Before, ColumnDef, Key, present};
use weir_plan::types::{PgType, arrow_type};
use weir_plan::{Result as PlanResult, arrow_ipc};

/// A table's columns that can be mirrored, and how its rows are found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub columns: Vec<ColumnDef>,
    /// Or why there is none.
    pub key: Result<Key, NoKey>,
    /// Of all attributes, also those that are dropped or cannot be mirrored: the greatest number.
    pub attributes: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKey {
    /// REPLICA IDENTITY DEFAULT without a primary key.
    NoPrimaryKey,
    /// REPLICA IDENTITY DEFAULT with a primary key that is checked at the end of a transaction only.
    Deferrable,
    /// REPLICA IDENTITY NOTHING. `keyed`: there is a primary key that would do.
    Nothing { keyed: bool },
    /// REPLICA IDENTITY USING INDEX, and the index is gone.
    NoIndex,
    /// A key column has a type that cannot be mirrored.
    Unsupported(String),
}

impl Shape {
    /// Whether rows of this shape can go into a mirror that was made for `columns` and `key`. It may have columns that were added to the table
    /// only later.
    pub fn fits(&self, columns: &[ColumnDef], key: &Key) -> bool {
        let (had, later) = columns.split_at(present(columns, self.attributes));
        self.columns.len() == had.len() && self.has_first(had, key) && later.iter().all(|c| c.before.is_some())
    }

    fn has_first(&self, columns: &[ColumnDef], key: &Key) -> bool {
        self.columns.iter().zip(columns).all(|(now, then)| now.attnum == then.attnum && now.ty == then.ty && (now.not_null || !then.not_null))
            && self.key.as_ref() == Ok(key)
    }

    /// The columns of this shape that `columns` lacks, if the only difference is that they are new: their numbers are beyond `attributes`,
    /// which the table had before, and they are among the last `at_most`. `None` as well where rows are found by all their columns.
    pub fn new_columns(&self, columns: &[ColumnDef], key: &Key, attributes: i16, at_most: usize) -> Option<&[ColumnDef]> {
        let new = self.columns.get(columns.len()..).filter(|new| !new.is_empty())?;
        let old = i16::try_from(at_most).ok().map(|n| attributes.max(self.attributes.saturating_sub(n)))?;
        (self.has_first(columns, key) && matches!(key, Key::Columns(_)) && new.iter().all(|c| c.attnum > old)).then_some(new)
    }
}

/// Reads the shape of an open table.
///
/// # Safety
/// `rel` is an open relation; in a transaction.
pub unsafe fn shape(rel: pg_sys::Relation) -> Shape {
    // SAFETY: as promised by the caller.
    unsafe {
        let columns = columns((*rel).rd_att);
        let key = key(rel, &columns);
        Shape { columns, key, attributes: i16::try_from((*(*rel).rd_att).natts).unwrap_or(i16::MAX) }
    }
}

/// The column with what the rows have there that are older than it, as its definition now says; `None` if the mirror could not hold that.
///
/// # Safety
/// `rel` is an open relation that has the column, which was just added; in a transaction.
pub unsafe fn with_value_of_older_rows(rel: pg_sys::Relation, column: &ColumnDef) -> PlanResult<Option<ColumnDef>> {
    let mut is_null = true;
    // SAFETY: as promised by the caller.
    let value = unsafe { pg_sys::getmissingattr((*rel).rd_att, column.attnum.into(), &raw mut is_null) };
    let before = if is_null {
        Before::Null
    } else {
        let mut row = RowBuilder::new(std::slice::from_ref(column), 1)?;
        let schema = row.schema();
        // SAFETY: the value is of the column's type and lives as long as the descriptor.
        unsafe { row.append_picked(|_| Some(value)) };
        let batch = row.finish_batch(&schema)?;
        if !row.take_poisoned().is_empty() {
            return Ok(None);
        }
        Before::value(&arrow_ipc::to_bytes(&batch)?)
    };
    // NULL in a NOT NULL column: there were no rows.
    let holds = !(column.not_null && before == Before::Null);
    Ok(holds.then(|| ColumnDef { before: Some(before), ..column.clone() }))
}

/// # Safety
/// A valid descriptor; in a transaction.
unsafe fn columns(tupdesc: pg_sys::TupleDesc) -> Vec<ColumnDef> {
    // SAFETY: indexes stay below natts.
    unsafe {
        (0..(*tupdesc).natts)
            .filter_map(|i| {
                let attribute = &*attribute(tupdesc, i);
                if attribute.attisdropped || is_virtual(attribute) {
                    return None;
                }
                let ty = column_type(attribute.atttypid, attribute.atttypmod)?;
                Some(ColumnDef { attnum: attribute.attnum, name: attribute.name().to_owned(), ty, not_null: never_null(tupdesc, i), before: None })
            })
            .collect()
    }
}

/// # Safety
/// `i` is below the number of attributes.
#[cfg(not(feature = "pg18"))]
unsafe fn attribute(tupdesc: pg_sys::TupleDesc, i: i32) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { (*tupdesc).attrs.as_ptr().add(usize::try_from(i).unwrap_or(0)) }
}

/// # Safety
/// `i` is below the number of attributes.
#[cfg(feature = "pg18")]
unsafe fn attribute(tupdesc: pg_sys::TupleDesc, i: i32) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::TupleDescAttr(tupdesc, i) }
}

/// A virtual generated column (since release 18) is not stored.
fn is_virtual(attribute: &pg_sys::FormData_pg_attribute) -> bool {
    attribute.attgenerated.cast_unsigned() == b'v'
}

/// The type with domains and enums resolved, if it can be mirrored.
///
/// # Safety
/// The type exists; in a transaction.
pub unsafe fn column_type(type_oid: pg_sys::Oid, typmod: i32) -> Option<PgType> {
    let plain = PgType::with_typmod(type_oid.to_u32(), typmod);
    if arrow_type(&plain).is_some() {
        return Some(plain);
    }
    let mut base_typmod = typmod;
    // SAFETY: catalog look-ups of an existing type.
    let base = unsafe { stored_as(pg_sys::getBaseTypeAndTypmod(type_oid, &raw mut base_typmod)) };
    let ty = PgType { oid: type_oid.to_u32(), base, typmod: base_typmod };
    arrow_type(&ty).map(|_| ty)
}

/// # Safety
/// `rel` is an open relation; in a transaction.
unsafe fn key(rel: pg_sys::Relation, columns: &[ColumnDef]) -> Result<Key, NoKey> {
    // SAFETY: as promised by the caller.
    unsafe {
        match (*(*rel).rd_rel).relreplident.cast_unsigned() {
            pg_sys::REPLICA_IDENTITY_FULL => {
                // The whole old row is logged, so any unique key of it will do.
                let usable = immediate_columns(primary_key(rel)).filter(|key| key.iter().all(|a| columns.iter().any(|c| c.attnum == *a)));
                Ok(usable.map_or(Key::FullRow, Key::Columns))
            }
            pg_sys::REPLICA_IDENTITY_NOTHING => Err(NoKey::Nothing { keyed: immediate_columns(primary_key(rel)).is_some() }),
            identity => {
                let Some(key) = immediate_columns(pg_sys::RelationGetReplicaIndex(rel)) else {
                    return Err(match identity {
                        pg_sys::REPLICA_IDENTITY_INDEX => NoKey::NoIndex,
                        _ if has_deferrable_key(rel) => NoKey::Deferrable,
                        _ => NoKey::NoPrimaryKey,
                    });
                };
                match key.iter().find(|a| !columns.iter().any(|c| c.attnum == **a)) {
                    Some(attnum) => Err(NoKey::Unsupported(column_name(rel, *attnum))),
                    None => Ok(Key::Columns(key)),
                }
            }
        }
    }
}

/// # Safety
/// `rel` is an open relation that has the column.
unsafe fn column_name(rel: pg_sys::Relation, attnum: i16) -> String {
    // SAFETY: as promised by the caller.
    unsafe { (*attribute((*rel).rd_att, i32::from(attnum) - 1)).name().to_owned() }
}

#[cfg(not(feature = "pg18"))]
unsafe fn primary_key(rel: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: an open relation.
    unsafe { pg_sys::RelationGetPrimaryKeyIndex(rel) }
}

#[cfg(feature = "pg18")]
unsafe fn primary_key(rel: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: an open relation.
    unsafe { pg_sys::RelationGetPrimaryKeyIndex(rel, false) }
}

/// Whether an open table has a primary key that may be violated until the transaction ends.
///
/// # Safety
/// `rel` is an open relation; in a transaction.
unsafe fn has_deferrable_key(rel: pg_sys::Relation) -> bool {
    // SAFETY: the table is open, which keeps its indexes; each is closed.
    unsafe {
        pgrx::PgList::<std::ffi::c_void>::from_pg(pg_sys::RelationGetIndexList(rel)).iter_oid().any(|index| {
            let index = pg_sys::RelationIdGetRelation(index);
            if index.is_null() {
                return false;
            }
            let form = (*index).rd_index;
            let found = (*form).indisprimary && !(*form).indimmediate;
            pg_sys::RelationClose(index);
            found
        })
    }
}

/// The columns of a unique index that is never violated in between.
///
/// # Safety
/// The index exists, or the OID is invalid; its table is open.
unsafe fn immediate_columns(index: pg_sys::Oid) -> Option<Vec<i16>> {
    if index == pg_sys::InvalidOid {
        return None;
    }
    // SAFETY: the table is open, which keeps its indexes; closed below.
    unsafe {
        let rel = pg_sys::RelationIdGetRelation(index);
        if rel.is_null() {
            return None;
        }
        let form = (*rel).rd_index;
        let columns = ((*form).indimmediate && (*form).indisvalid).then(|| {
            let n = usize::try_from((*form).indnkeyatts).unwrap_or(0);
            (*form).indkey.values.as_slice(n).to_vec()
        });
        pg_sys::RelationClose(rel);
        columns
    }
}

/// Whether no row has NULL in the attribute with this index (its number - 1).
///
/// # Safety
/// The descriptor of an open table, with that many attributes.
#[cfg(not(feature = "pg18"))]
pub unsafe fn never_null(tupdesc: pg_sys::TupleDesc, i: i32) -> bool {
    // SAFETY: as promised by the caller.
    unsafe { (*attribute(tupdesc, i)).attnotnull }
}

/// Whether no row has NULL in the attribute with this index (its number - 1): there may be a NOT NULL constraint that older rows need not obey.
///
/// # Safety
/// The descriptor of an open table, with that many attributes.
#[cfg(feature = "pg18")]
pub unsafe fn never_null(tupdesc: pg_sys::TupleDesc, i: i32) -> bool {
    let Ok(place) = usize::try_from(i) else { return false };
    // SAFETY: as promised by the caller; the descriptor of a table knows which of its constraints hold.
    unsafe { (*(*tupdesc).compact_attrs.as_ptr().add(place)).attnullability as u8 == pg_sys::ATTNULLABLE_VALID }
}

/// Whether the attribute with this index (its number - 1) is of variable length.
///
/// # Safety
/// A valid descriptor with that many attributes.
pub unsafe fn is_varlena(tupdesc: pg_sys::TupleDesc, index: usize) -> bool {
    // SAFETY: as promised by the caller.
    i32::try_from(index).is_ok_and(|i| unsafe { (*attribute(tupdesc, i)).attlen } == -1)
}
