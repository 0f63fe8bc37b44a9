// Reaching a virtual base of an object whose class is only known in outline here.
#pragma once

// The compiler must read where the base is from the object's own table. It does so for a reference; next to a `new` it
// would compute the place from the outline.
template <typename Base, typename T>
Base& virtualBase(T& object)
{
  return object;
}
