using System.Globalization;
using System.Runtime.InteropServices;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>The portable profile through another language's binding, which knows nothing of our operators.</summary>
public sealed class PortableModelTests : IDisposable
{
    /// <summary>Prints the mean loss of the windows of int32 token ids in a file.</summary>
    private const string Program = """
        const ort = require('onnxruntime-node');
        const fs = require('fs');
        (async () => {
          const [model, file, window] = [process.argv[2], process.argv[3], Number(process.argv[4])];
          const bytes = fs.readFileSync(file);
          const ids = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
          const session = await ort.InferenceSession.create(model);
          let total = 0, count = 0;
          for (let start = 0; start + window <= ids.length; start += window) {
            const part = ids.subarray(start, start + window);
            const input = new ort.Tensor('int64', BigInt64Array.from(part, BigInt), [1, window]);
            const { logits } = await session.run({ input_ids: input });
            const vocabulary = logits.dims[2];
            for (let i = 0; i + 1 < window; i++, count++) {
              const row = logits.data.subarray(i * vocabulary, (i + 1) * vocabulary);
              const max = row.reduce((a, b) => Math.max(a, b));
              total += max - row[part[i + 1]] + Math.log(row.reduce((sum, value) => sum + Math.exp(value - max), 0));
            }
          }
          console.log(total / count);
        })();
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [NodeFact]
    public void Stock_ONNX_Runtime_in_Node_computes_the_perplexity_that_our_operators_compute()
    {
        string output = Path.Combine(_folder, "model.onnx");
        QuantizeReport report = QuantizeJob.Run(
            SampleModel.Quick(output) with
            {
                Profiles = [EmissionProfile.Custom, EmissionProfile.Portable],
                Activations = ActivationFormat.None,
                CalibrationPath = null,
                Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, GroupSize = 96, Rank = 2 },
            },
            new SilentObserver(),
            CancellationToken.None);
        TokenWindowSet windows = TokenWindowSet.Load(SampleModel.Evaluation, SampleModel.Tokenizer, 128, 8, ModelFacts.Read(output));
        string ids = Path.Combine(_folder, "ids.i32");
        File.WriteAllBytes(ids, MemoryMarshal.AsBytes<int>([.. windows.Windows.SelectMany(window => window)]).ToArray());
        string script = Path.Combine(_folder, "run.cjs");
        File.WriteAllText(script, Program.Replace("'onnxruntime-node'", $"'{NodeFactAttribute.Folder.Replace('\\', '/')}/node_modules/onnxruntime-node'", StringComparison.Ordinal));
        string loss = NodeFactAttribute.Run("node", _folder, script, report.Outputs[1], ids, "128");
        double expected = SampleModel.Evaluate(output, 8).Perplexity;
        Assert.Equal(1, Math.Exp(double.Parse(loss, CultureInfo.InvariantCulture)) / expected, 1e-4);
    }
}
