using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>Inputs, cache and outputs of all candidates' runs: they compute the same scenarios one after another.</summary>
internal sealed class Workspace : IDisposable
{
    private const int HalfBytes = 2;

    private readonly DecoderShape _shape;
    private readonly BoundMemory[] _cache;
    private readonly BoundMemory _tokens;
    private readonly BoundMemory _positions;
    private readonly BoundMemory _total;
    private readonly BoundMemory _logits;

    public Workspace(CudaContext? context, DecoderShape shape, IReadOnlyList<Scenario> scenarios)
    {
        _shape = shape;
        long cacheBytes = scenarios.Max(one => (long)one.Batch * one.Positions) * shape.KeyHeads * shape.HeadSize * HalfBytes;
        _cache = [.. Enumerable.Range(0, 2 * shape.Layers).Select(_ => new BoundMemory(context, cacheBytes))];
        _tokens = new BoundMemory(context, scenarios.Max(one => one.Batch * one.Length) * sizeof(long));
        _positions = new BoundMemory(context, scenarios.Max(one => one.Batch) * sizeof(int));
        _total = new BoundMemory(null, sizeof(int));
        _logits = new BoundMemory(context, (long)scenarios.Max(one => one.Batch) * shape.Vocabulary * HalfBytes);
    }

    /// <summary>Binds a session to the memory for a scenario.</summary>
    public OrtIoBinding Bind(InferenceSession session, Scenario scenario)
    {
        OrtIoBinding binding = session.CreateIoBinding();
        Input("input_ids", _tokens.Tensor(TensorElementType.Int64, sizeof(long), scenario.Batch, scenario.Length));
        Input("last_positions", _positions.Tensor(TensorElementType.Int32, sizeof(int), scenario.Batch));
        Input("total_length", _total.Tensor(TensorElementType.Int32, sizeof(int), 1));
        Output("logits", _logits.Tensor(TensorElementType.Float16, HalfBytes, scenario.Batch, 1, _shape.Vocabulary));
        for (int i = 0; i < _cache.Length; i++)
        {
            string name = FormattableString.Invariant($"{i / 2}.{(i % 2 == 0 ? "key" : "value")}");
            long[] dims = [scenario.Batch, _shape.KeyHeads, scenario.Positions, _shape.HeadSize];
            Input($"past_key_values.{name}", _cache[i].Tensor(TensorElementType.Float16, HalfBytes, dims));
            Output($"present.{name}", _cache[i].Tensor(TensorElementType.Float16, HalfBytes, dims));
        }

        return binding;

        void Input(string name, OrtValue value)
        {
            using (value)
            {
                binding.BindInput(name, value);
            }
        }

        void Output(string name, OrtValue value)
        {
            using (value)
            {
                binding.BindOutput(name, value);
            }
        }
    }

    /// <summary>Fills the inputs of a scenario with random tokens; the cache keeps what earlier runs wrote.</summary>
    public void Fill(Scenario scenario, int seed = 5)
    {
        var random = new Random(seed);
        long[] tokens = [.. Enumerable.Range(0, scenario.Batch * scenario.Length).Select(_ => (long)random.Next(_shape.Vocabulary))];
        _tokens.Upload<long>(tokens);
        _positions.Upload<int>([.. Enumerable.Repeat(scenario.Past + scenario.Length - 1, scenario.Batch)]);
        _total.Upload<int>([scenario.Past + scenario.Length]);
    }

    public Half[] Logits(Scenario scenario) => _logits.Download<Half>(scenario.Batch * _shape.Vocabulary);

    public void Dispose()
    {
        Array.ForEach(_cache, memory => memory.Dispose());
        _tokens.Dispose();
        _positions.Dispose();
        _total.Dispose();
        _logits.Dispose();
    }
}
