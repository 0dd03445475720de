namespace Zqfp.CudaOps;

/// <summary>How far ONNX Runtime rewrites a graph when it loads it.</summary>
public enum OrtOptimizationLevel
{
    /// <summary>Not at all.</summary>
    None = 0,

    /// <summary>Constant folding and the removal of what does nothing.</summary>
    Basic = 1,

    /// <summary>Also fusions.</summary>
    Extended = 2,

    /// <summary>Everything; ONNX Runtime's default.</summary>
    All = 99,
}

/// <summary>
/// What a session is to be made with. A description only: nothing native is held, one instance may serve any number of
/// sessions, and it must not be changed while a session is being made with it.
/// </summary>
public sealed class OrtSessionOptions
{
    private readonly Dictionary<string, string> _configuration = new(StringComparer.Ordinal);
    private readonly List<OrtOperatorDomain> _domains = [];
    private readonly List<string> _operatorLibraries = [];
    private readonly Dictionary<string, OrtValue> _externalInitializers = new(StringComparer.Ordinal);

    /// <summary>Threads that compute one operator, the caller among them; 0 leaves the number to ONNX Runtime.</summary>
    public int IntraOpThreads { get; set; }

    /// <summary>How far the graph is rewritten.</summary>
    public OrtOptimizationLevel OptimizationLevel { get; set; } = OrtOptimizationLevel.All;

    /// <summary>False: threads that wait sleep instead of spinning, which is kinder to whatever else runs on the machine.</summary>
    public bool AllowSpinning { get; set; } = true;

    /// <summary>False: memory is not planned ahead from the shapes of the first run; right for inputs whose shapes vary.</summary>
    public bool MemoryPattern { get; set; } = true;

    /// <summary>False: memory of intermediate values goes back to the system when they are done.</summary>
    public bool MemoryArena { get; set; } = true;

    /// <summary>A file the rewritten graph is to be written to, for inspection.</summary>
    public string? OptimizedModelPath { get; set; }

    /// <summary>The CUDA device to run on, null for the CPU alone; needs a library built with the CUDA provider.</summary>
    public int? CudaDevice { get; set; }

    internal IReadOnlyDictionary<string, string> Configuration => _configuration;

    internal IReadOnlyList<OrtOperatorDomain> Domains => _domains;

    internal IReadOnlyList<string> OperatorLibraries => _operatorLibraries;

    internal IReadOnlyDictionary<string, OrtValue> ExternalInitializers => _externalInitializers;

    /// <summary>Sets one of ONNX Runtime's session configuration entries, such as <c>session.disable_quant_qdq</c>.</summary>
    public OrtSessionOptions AddConfigEntry(string key, string value)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        ArgumentNullException.ThrowIfNull(value);
        _configuration[key] = value;
        return this;
    }

    /// <summary>Adds operators; the domain is kept alive by every session made with it.</summary>
    /// <exception cref="ArgumentException">A domain of that name is there already.</exception>
    public OrtSessionOptions AddOperatorDomain(OrtOperatorDomain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        if (_domains.Any(added => added.Name == domain.Name))
        {
            throw new ArgumentException($"Operators of domain '{domain.Name}' were added already.", nameof(domain));
        }
        _domains.Add(domain);
        return this;
    }

    /// <summary>Adds operators from a native library that exports <c>RegisterCustomOps</c>.</summary>
    public OrtSessionOptions AddOperatorLibrary(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        _operatorLibraries.Add(Path.GetFullPath(path));
        return this;
    }

    /// <summary>
    /// Gives the content of initializers that the model declares as external data: ONNX Runtime then opens no file for them and
    /// copies nothing. The values' memory is kept until the sessions are gone, even when the values are disposed before.
    /// </summary>
    /// <param name="names">Names of initializers in the model's main graph.</param>
    /// <param name="values">Their content, of the declared types and shapes.</param>
    /// <exception cref="ArgumentException">The two lists differ in length.</exception>
    public OrtSessionOptions AddExternalInitializers(IReadOnlyList<string> names, IReadOnlyList<OrtValue> values)
    {
        ArgumentNullException.ThrowIfNull(names);
        ArgumentNullException.ThrowIfNull(values);
        if (names.Count != values.Count)
        {
            throw new ArgumentException($"{names.Count} names were given with {values.Count} values.", nameof(values));
        }
        for (int i = 0; i < names.Count; i++)
        {
            _externalInitializers[names[i]] = values[i];
        }
        return this;
    }
}
