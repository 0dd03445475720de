using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Zqfp.Pipeline.Tests")]
