using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Zqfp.CudaOps.Tests")]
