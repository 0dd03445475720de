
namespace Zqfp.CudaOps;

/// <summary>
/// A set of operators under one domain name, to be added to any number of sessions. Sessions keep it alive: it may be disposed
/// before them.
/// </summary>
public sealed unsafe class OrtOperatorDomain : IDisposable
{
    /// <summary>Makes a domain.</summary>
    /// <param name="library">The library it is for.</param>
    /// <param name="name">The domain, as nodes name it.</param>
    /// <param name="operators">Its operators; the same name may stand there once per execution provider.</param>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses an operator.</exception>
    public OrtOperatorDomain(OrtLibrary library, string name, IReadOnlyList<OrtOperator> operators)
    {
        ArgumentNullException.ThrowIfNull(library);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(operators);
        Name = name;
        OrtApi api = library.Api;
        using var tables = new OperatorTables(api, operators);
        using NativeText text = NativeText.Utf8(name);
        void* domain;
        api.Check(((delegate* unmanaged[Cdecl]<byte*, void**, void*>)api[OrtSlot.CreateCustomOpDomain])(text.Pointer, &domain), $"making the domain '{name}'");
        Handle = new OrtHandle(api, OrtSlot.ReleaseCustomOpDomain, domain, tables);
        try
        {
            for (int i = 0; i < operators.Count; i++)
            {
                api.Check(
                    ((delegate* unmanaged[Cdecl]<void*, NativeOperator*, void*>)api[OrtSlot.CustomOpDomainAdd])(domain, tables[i]),
                    $"adding the operator {name}.{operators[i].Name}");
            }
        }
        catch
        {
            Handle.Dispose();
            throw;
        }
    }

    /// <summary>The domain, as nodes name it.</summary>
    public string Name { get; }

    internal OrtHandle Handle { get; }

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();

    /// <summary>
    /// Adds the operators to options that a foreign program made: what a library's exported <c>RegisterCustomOps</c> does. The
    /// domain must outlive every session of that program, so the library keeps it for the life of the process.
    /// </summary>
    /// <param name="library">The library, from <see cref="OrtLibrary.FromApiBase"/>.</param>
    /// <param name="sessionOptions">The program's <c>OrtSessionOptions*</c>.</param>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses.</exception>
    public void AddTo(OrtLibrary library, nint sessionOptions)
    {
        ArgumentNullException.ThrowIfNull(library);
        OrtApi api = library.Api;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, void*, void*>)api[OrtSlot.AddCustomOpDomain])((void*)sessionOptions, Handle.Pointer),
            $"adding the operators of domain '{Name}'");
    }
}
